"""Heat maps: one row per layer, one column per look, a logarithmic scale of colors."""

import math
from collections.abc import Sequence

from keras_lecture.diagnosis._report.charts import framed, stretched
from keras_lecture.diagnosis._report.palette import LEVELS
from keras_lecture.diagnosis._report.text import is_finite, short_power

_ROW = 16
# Decades per color, the first that suffices.
_STEPS = (0.25, 0.5, 1, 2, 3, 5, 10, 20, 50, 100)

Values = Sequence[Sequence[float | None]]


def edges_of(values: Values) -> list[float]:
    """The borders of the colors: a geometric sequence around the positive values, or none without any."""
    logs = [math.log10(v) for row in values for v in row if is_finite(v) and v > 0]
    if not logs:
        return []
    low, high = min(logs), max(logs)
    for step in _STEPS:
        first, last = math.floor(low / step + 1e-9), math.floor(high / step + 1e-9) + 1
        if last - first <= LEVELS:
            break
    return [10.0 ** (step * index) for index in range(first, last + 1)]


def level_of(value: float | None, edges: Sequence[float]) -> str | None:
    """The style of a cell: a color's number, `"zero"`, `"bad"` if it is not finite, `None` if it is missing."""
    if value is None:
        return None
    if not math.isfinite(value):
        return "bad"
    if value <= 0 or not edges:
        return "zero"
    index = max(i for i, edge in enumerate(edges[:-1]) if value >= edge * 0.999 or i == 0)
    return str(_spread(index, len(edges) - 1))


def _spread(index, count):
    """The number of a color: few colors are taken from the whole range."""
    return LEVELS // 2 if count == 1 else round(index * (LEVELS - 1) / (count - 1))


def heat_map(uid: str, title: str, described: str, values: Values, steps: Sequence[int]) -> str:
    """The cells, with the steps of some columns below; one path per color keeps it small."""
    edges, cells = edges_of(values), {}
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            level = level_of(value, edges)
            if level is not None:
                cells.setdefault(level, []).append(_outline(level, column, row))
    paths = "".join(f'<path class="cell c-{level}" d="{"".join(shapes)}"/>' for level, shapes in sorted(cells.items()))
    height = _ROW * len(values)
    content = stretched(paths, height, 0, (len(steps), len(values))) + _labels(steps, height + 15)
    return framed(uid, title, described, content, height + 20)


def _outline(level, column, row):
    if level == "bad":
        return f"M{column + 0.25:g},{row + 0.25:g}l.5,.5m-.5,0l.5,-.5"
    if level == "zero":
        return f"M{column + 0.3:g},{row + 0.5:g}h.4"
    return f"M{column},{row}h1v1h-1z"


def _labels(steps, at):
    count = len(steps)
    shown = sorted({round(index * (count - 1) / 4) for index in range(5)}) if count > 7 else range(count)
    parts = []
    for column in shown:
        place = f"{100 * (column + 0.5) / count:.2f}%"
        parts.append(f'<text x="{place}" y="{at}" text-anchor="middle">{steps[column]:,}</text>')
    return "".join(parts)


def legend(uid: str, name: str, values: Values) -> str:
    """The scale: each color with the values at its borders, and the marks for zero and for no number."""
    edges = edges_of(values)
    kinds = {level_of(v, edges) for row in values for v in row}
    count = max(len(edges) - 1, 0)
    boxes = "".join(f'<path class="cell c-{_spread(index, count)}" d="M{index},0h1v1h-1z"/>' for index in range(count))
    parts = []
    if count:
        texts = "".join(_edge(edge, index / count) for index, edge in enumerate(edges))
        described = f"Colors from {short_power(edges[0])} to {short_power(edges[-1])}, on a logarithmic scale."
        content = stretched(boxes, 10, 0, (count, 1)) + texts
        parts.append(f'<div class="scale">{framed(uid, name, described, content, 26)}</div>')
    for kind, words in (("bad", "not a number"), ("zero", "exactly zero")):
        if kind in kinds:
            path = f'<path class="cell c-{kind}" d="{_outline(kind, 0, 0)}"/>'
            parts.append(f'<span><svg class="key" aria-hidden="true" viewBox="0 0 1 1">{path}</svg> {words}</span>')
    return f'<div class="legend"><span>{name}</span>{"".join(parts)}</div>'


def _edge(edge, share):
    """The label of a border: at both ends, and at powers of ten that are not too close to them."""
    anchor = "start" if share == 0 else "end" if share == 1 else "middle"
    if anchor == "middle" and (not 0.22 <= share <= 0.78 or f"{edge:.1e}"[:3] != "1.0"):
        return ""
    return f'<text x="{100 * share:.1f}%" y="23" text-anchor="{anchor}">{short_power(edge)}</text>'
