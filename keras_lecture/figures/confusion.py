"""`confusion`: a confusion matrix as a figure."""

from collections.abc import Sequence

import numpy as np

from keras_lecture._core import checks
from keras_lecture.figures._canvas import Figure, canvas, panels


def confusion(
    matrix: np.ndarray | Sequence[Sequence[int]], names: Sequence[str] | None = None, *, theme: str = "light"
) -> Figure:
    """A confusion matrix: rows are the true classes, columns the predicted ones, errors in red.

    Use it to see which classes are confused. Every cell shows its count; its shade is the share of the row, so that
    rare classes are as visible as frequent ones.

    Args:
        matrix: Counts, one row per true class and one column per predicted class.
        names: The names of the classes, in order. Defaults to `None`, their indices.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("confusion.png")`.

    Example:
        >>> figure = keras_lecture.figures.confusion([[48, 2], [1, 49]], names=["benign", "malignant"])
        >>> figure.axes[0].get_title(loc="left")
        '97 of 100 right'

    Reference:
        The lectures count errors and do not draw them. `sklearn.metrics.ConfusionMatrixDisplay` shades by the count, so
        that the large counts on the diagonal make errors nearly invisible.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.size == 0:
        checks.reject("confusion", "matrix", "a square matrix", counts.shape)
    if counts.dtype.kind not in "iufb" or not np.all((counts >= 0) & (counts == np.floor(counts)) & (counts < np.inf)):
        remedy = "Pass counts, not shares: the shares of each row are computed here."
        checks.reject("confusion", "matrix", "of counts, whole numbers from 0", counts.ravel()[:3].tolist(), remedy)
    counts = counts.astype("int64")
    names = [str(i) for i in range(len(counts))] if names is None else [str(name) for name in names]
    if len(names) != len(counts):
        checks.reject("confusion", "names", f"{len(counts)} names, one for each row", names)
    size = min(max(3.6, 1.6 + 0.42 * len(counts)), 16.0)
    with canvas("confusion", theme):
        figure, (axes,) = panels(1, width=size, height=size)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(_shades(share))
        ticks = range(len(counts))
        long = max(map(len, names)) > 3
        axes.set_xticks(ticks, names, rotation=45 if long else 0, ha="right" if long else "center")
        axes.set_yticks(ticks, names)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(f"{int(np.trace(counts))} of {int(counts.sum())} right", loc="left")
        if len(counts) <= 40:
            _write(axes, counts, share)
    return figure


def _shades(share):
    """Blue on the diagonal, red off it, white at 0; the square root makes a share of 1 % visible."""
    strength = np.sqrt(share)[..., None]
    diagonal = np.eye(len(share), dtype=bool)[..., None]
    full = np.where(diagonal, np.array([0.14, 0.44, 0.64]), np.array([0.69, 0.23, 0.18]))
    return 1.0 - strength * (1.0 - full)


def _write(axes, counts, share):
    for row, column in np.argwhere(counts):
        shade = "white" if share[row, column] > 0.3 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=shade, fontsize=9)
