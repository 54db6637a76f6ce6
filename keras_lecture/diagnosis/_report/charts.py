"""Charts as inline SVG: axes, lines, heat maps.

The outer `svg` has no `viewBox`: positions are percentages, so that text keeps its size at every width of the window.
Paths are in an inner `svg` of 1000 units, which is stretched.
"""

import dataclasses
import math
from collections.abc import Sequence

from keras_lecture.diagnosis._report.text import esc, short, short_power

# Pixels above the plot, for the labels of vertical marks, and below it, for the labels of the axis.
TOP, BOTTOM = 18, 22
_WIDTH = 1000


@dataclasses.dataclass(frozen=True)
class Scale:
    """Maps `low` to 0 and `high` to 1, linearly or by logarithm."""

    low: float
    high: float
    log: bool = False

    def __call__(self, value: float) -> float:
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values within the scale: powers of ten, or multiples of 1, 2 or 5."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            step = max(1, -(-(last - first) // count))
            powers = [10.0**exponent for exponent in range(first, last + 1, step)]
            return powers if len(powers) > 1 else [self.low, self.high]
        span = (self.high - self.low) / count
        unit = 10.0 ** math.floor(math.log10(span))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= span * 0.99)
        first = math.ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scale_of(values: Sequence[float]) -> Scale:
    """A scale for finite values: logarithmic if they are positive and differ by more than a factor of 50."""
    low, high = min(values), max(values)
    if low > 0 and high / low > 50:
        return Scale(low / 1.2, high * 1.2, log=True)
    margin = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    floor = 0.0 if low >= 0 and low < 0.3 * high else low - margin
    return Scale(floor, high + margin)


@dataclasses.dataclass(frozen=True)
class Series:
    """A line with the class of its style, and the shape of its markers: `""`, `"circle"` or `"square"`."""

    name: str
    style: str
    points: Sequence[tuple[float, float]]
    marker: str = ""


def chart(
    uid: str,
    title: str,
    described: str,
    series: Sequence[Series],
    x: Scale,
    *,
    height: int = 220,
    marks: Sequence[tuple[float, str, str]] = (),
    level: tuple[float, str] | None = None,
) -> str:
    """Lines over steps, with vertical `marks` (step, label, style) and a horizontal `level` (value, label)."""
    values = [v for line in series for _, v in line.points if math.isfinite(v)]
    # A level far outside of the values would squeeze them.
    if level is not None and values and min(values) / 3 <= level[0] <= 3 * max(values):
        values.append(level[0])
    else:
        level = None
    y = scale_of(values or [0.0, 1.0])
    parts = [axes(x, y, height)]
    if level is not None:
        at = _y(y, level[0], height)
        parts.append(f'<line class="level" x1="0" x2="100%" y1="{at}" y2="{at}"/>')
    paths = "".join(f'<path class="line {line.style}" d="{_path(line.points, x, y, height)}"/>' for line in series)
    parts.append(stretched(paths, height, TOP))
    parts.extend(_markers(line, x, y, height) for line in series if line.marker)
    if level is not None:
        # Lines that end above the level would run through its name there.
        ends = [line.points[-1][1] for line in series if line.points]
        lower = at + 14 <= TOP + height and any(end > level[0] for end in ends)
        beside = at + 14 if lower else at - 4
        parts.append(f'<text class="halo" x="100%" y="{beside}" text-anchor="end">{esc(level[1])}</text>')
    parts.extend(_mark(*mark, x, height) for mark in marks)
    return framed(uid, title, described, "".join(parts), TOP + height + BOTTOM)


def framed(uid: str, title: str, described: str, content: str, height: int) -> str:
    """An `svg` with a title and a description for screen readers."""
    return (
        f'<svg class="chart" role="img" aria-labelledby="{uid}-t {uid}-d" width="100%" height="{height}">'
        f'<title id="{uid}-t">{esc(title)}</title><desc id="{uid}-d">{esc(described)}</desc>{content}</svg>'
    )


def stretched(paths: str, height: int, top: int = 0, box: tuple[int, int] | None = None) -> str:
    """Paths in units of their own, stretched to the width of the window."""
    wide, high = box or (_WIDTH, height)
    return (
        f'<svg x="0" y="{top}" width="100%" height="{height}" viewBox="0 0 {wide} {high}" '
        f'preserveAspectRatio="none">{paths}</svg>'
    )


def axes(x: Scale, y: Scale, height: int) -> str:
    """Horizontal lines with their values left of the plot, in its margin, and steps below."""
    label = short_power if y.log else short
    parts = []
    for tick in y.ticks():
        at = _y(y, tick, height)
        parts.append(f'<line class="grid" x1="0" x2="100%" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="-8" y="{at + 4}" text-anchor="end">{label(tick)}</text>')
    for tick in x.ticks(4):
        share = x(tick)
        anchor = "start" if share < 0.03 else "end" if share > 0.97 else "middle"
        word = "step " if tick == 0 else ""
        at = TOP + height + 16
        parts.append(f'<text x="{100 * share:.2f}%" y="{at}" text-anchor="{anchor}">{word}{tick:,.0f}</text>')
    return "".join(parts)


def _y(scale, value, height):
    return round(TOP + height * (1 - scale(value)), 1)


def _path(points, x, y, height):
    """A path that is interrupted where a value is not finite."""
    parts, is_down = [], False
    for step, value in points:
        if math.isfinite(value) and (value > 0 or not y.log):
            parts.append(f"{'L' if is_down else 'M'}{_WIDTH * x(step):.1f},{height * (1 - y(value)):.1f}")
            is_down = True
        else:
            is_down = False
    return "".join(parts)


def _markers(line, x, y, height):
    shown = [(f"{100 * x(s):.2f}%", _y(y, v, height)) for s, v in line.points if math.isfinite(v)]
    if line.marker == "circle":
        return "".join(f'<circle class="{line.style}" cx="{a}" cy="{b}" r="3.5"/>' for a, b in shown)
    box = 'width="7" height="7" transform="translate(-3.5 -3.5)"'
    return "".join(f'<rect class="{line.style}" x="{a}" y="{b}" {box}/>' for a, b in shown)


def _mark(step, label, style, x, height):
    share = x(step)
    at, anchor = f"{100 * share:.2f}%", "end" if share > 0.85 else "start" if share < 0.1 else "middle"
    line = f'<line class="mark {style}" x1="{at}" x2="{at}" y1="{TOP}" y2="{TOP + height}"/>'
    return f'{line}<text class="halo" x="{at}" y="{TOP - 5}" text-anchor="{anchor}">{esc(label)}</text>'


def thinned(points: Sequence[tuple[float, float]], most: int = 600) -> list[tuple[float, float]]:
    """At most about `most` points that keep the extremes: the smallest and the largest of each stretch of steps."""
    if len(points) <= most:
        return list(points)
    stretch, kept = -(-len(points) // (most // 2)), []
    for start in range(0, len(points), stretch):
        part = range(start, min(start + stretch, len(points)))
        holes = [index for index in part if not math.isfinite(points[index][1])]
        finite = [index for index in part if math.isfinite(points[index][1])]
        ends = {f(finite, key=lambda i: points[i][1]) for f in (min, max)} if finite else set()
        kept.extend(points[index] for index in sorted({*ends, *holes[:1]}))
    return kept
