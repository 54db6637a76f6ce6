"""The shared style of the figures, and the only import of matplotlib."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as missing:
    raise ImportError("keras_lecture.figures needs matplotlib: pip install matplotlib") from missing

from keras_lecture._core import checks

# Okabe and Ito's colors for all kinds of color vision, each with a contrast of at least 3 on both backgrounds.
BLUE, RED, GREEN, ORANGE, PURPLE, GRAY = "#2e86c9", "#d9622b", "#159a72", "#c08400", "#b96aa8", "#848b93"
# Told apart by color and by dashes.
COLORS = (BLUE, RED, GREEN, ORANGE, PURPLE, GRAY)
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))
# Perceptually uniform, monotone in lightness; and with a neutral center, for signed values.
HEAT, SIGNED = "viridis", "RdBu_r"

_STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.constrained_layout.use": True,
}
_THEMES = {"light": ("#ffffff", "#1f2328", "#d5d9de"), "dark": ("#131416", "#e6e8ea", "#3c4148")}


@contextmanager
def canvas(owner: str, theme: str) -> Iterator[None]:
    """The style of a figure while it is drawn: `theme` is "light" or "dark"."""
    checks.one_of(owner, "theme", theme, tuple(_THEMES))
    background, text, grid = _THEMES[theme]
    style = dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor", "savefig.facecolor"), background)
    style |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), text)
    with rc_context(_STYLE | style | {"grid.color": grid}):
        yield


def experiment(
    owner: str, data: Mapping[str, Any] | None, run: Callable[[], dict[str, Any]], keys: Sequence[str]
) -> Mapping[str, Any]:
    """The data of a figure: those of the caller, which must have `keys`, or those of a new run."""
    if data is None:
        return run()
    remedy = f"Pass the result of `keras_lecture.figures.experiments.{owner}`, or nothing to run it."
    checks.instance(owner, "data", data, Mapping, "a dict", remedy)
    missing = [key for key in keys if key not in data]
    if missing:
        checks.reject(owner, "data", f"a dict with {', '.join(map(repr, keys))}", sorted(data), remedy)
    return data


def panels(count: int, *, rows: int = 1, width: float = 4.2, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes of this size in rows, not registered with `pyplot`."""
    columns = -(-count // rows)
    figure = Figure(figsize=(width * columns, height * rows))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def scale(figure: Figure, image: ScalarMappable, axes: Axes | Sequence[Axes], label: str) -> None:
    """The color scale of a heat map: every heat map has one, with its unit."""
    figure.colorbar(image, ax=axes, shrink=0.85).set_label(label)


def whole_ticks(axis: Axis) -> None:
    """Ticks at whole numbers only, for epochs."""
    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
