"""The shared style of the figures, and the only import of matplotlib."""

try:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as missing:
    raise ImportError("keras_lecture.figures needs matplotlib: pip install matplotlib") from missing

RED, ORANGE, BLUE, GRAY, GREEN = "#b03a2e", "#d68910", "#2471a3", "#7f8c8d", "#1e8449"


def panels(count: int, *, width: float = 4.2, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes in a row, not registered with `pyplot`."""
    figure = Figure(figsize=(width * count, height), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def whole_ticks(axis: Axis) -> None:
    """Ticks at whole numbers only, for epochs."""
    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
