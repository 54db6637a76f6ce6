"""`signals`: the values and gradients of deep networks under six initializations as a figure."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_lecture._core import checks
from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import COLORS, DASHES, HEAT, Figure, canvas, scale, whole_ticks

_MARKERS = ("o", "s", "^", "v", "D", "P")


def signals(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """The values and gradients in each layer of deep networks under six initializations.

    Use it to see why the start matters: a signal or gradient that shrinks or grows by a constant factor per layer is
    gone after ten. The histograms are columns, one per layer: above the values on the way forward, below the sizes of
    the gradients on the way back. The last two panels show their root mean square.

    Args:
        data: The result of `experiments.signals`. Defaults to `None`: the experiment runs, in seconds.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("signals.png")`.

    Example:
        >>> data = keras_lecture.figures.experiments.signals(layers=3, units=50, samples=20)
        >>> figure = keras_lecture.figures.signals(data)
        >>> figure.axes[0].get_title(loc="left")
        'N(0, 0.01²), tanh'

    Reference:
        Decks A and C (signal in forward and backward passes).
    """
    data = experiments.signals() if data is None else data
    if not isinstance(data, Mapping) or not data.get("histograms"):
        checks.reject("signals", "data", "the result of `experiments.signals`", data, "Pass `None` to run it.")
    starts = list(data["histograms"])
    columns = -(-len(starts) // 2)
    with canvas("signals", theme):
        figure = Figure(figsize=(2.9 * columns, 9.4))
        top, bottom = figure.subfigures(2, 1, height_ratios=(2.2, 1))
        cells = top.subplots(4, columns, sharex=True, sharey="row", squeeze=False)
        for k, name in enumerate(starts):
            row, column = 2 * (k // columns), k % columns
            forward, backward = cells[row, column], cells[row + 1, column]
            forward.set_title(name, loc="left", fontsize=10)
            image = _columns(forward, data["histograms"][name]["values"])
            _columns(backward, data["histograms"][name]["gradients"])
            if not column:
                forward.set_ylabel("value")
                backward.set(ylabel="|gradient|", yticks=(-6, 0, 6), yticklabels=("10⁻⁶", "1", "10⁶"))
            backward.set_xticks(range(1, data["layers"] + 1), minor=True)
        for axes in cells[-1]:
            axes.set_xlabel("layer")
            whole_ticks(axes.xaxis)
        scale(top, image, cells, "share of a layer's values (or gradients)")
        both = bottom.subplots(1, 2)
        _spreads(both[0], data["forward"], "forward: RMS of the values")
        _spreads(both[1], data["backward"], "backward: RMS of the gradients")
        bottom.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _columns(axes, drawn):
    """One column per layer; bins below the scale have the color of the background."""
    shares = np.array(drawn["shares"]).T
    extent = (0.5, shares.shape[1] + 0.5, *drawn["range"])
    return axes.imshow(
        np.ma.masked_less(shares, 1e-3),
        norm="log",
        vmin=1e-3,
        vmax=1.0,
        cmap=HEAT,
        origin="lower",
        aspect="auto",
        extent=extent,
        interpolation="none",
    )


def _spreads(axes, of_starts, title):
    for name, color, dashes, marker in zip(of_starts, COLORS, DASHES, _MARKERS, strict=True):
        values = [float("nan") if value is None else value for value in of_starts[name]]
        axes.plot(range(1, len(values) + 1), values, color=color, linestyle=dashes, marker=marker, ms=4, label=name)
    axes.set(yscale="log", xlabel="layer")
    axes.set_title(title, loc="left")
    axes.grid()
    whole_ticks(axes.xaxis)
