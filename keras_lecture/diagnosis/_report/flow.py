"""Gradients, signals and updates of each layer over time, with sentences that say what to see in them."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

from keras_lecture.diagnosis._record.record import number
from keras_lecture.diagnosis._report.document import Document
from keras_lecture.diagnosis._report.heat import heat_map, legend
from keras_lecture.diagnosis._report.markup import folded, table
from keras_lecture.diagnosis._report.text import esc, listed, picked, short

_ROWS, _COLUMNS = 60, 24
# Ratios between layers, or between the start and the end, that a sentence mentions.
_FAR = 100.0


@dataclasses.dataclass(frozen=True)
class Table:
    """Values of layers, in call order, at some steps."""

    names: Sequence[str]
    steps: Sequence[int]
    values: Sequence[Sequence[float | None]]

    def last(self) -> list[tuple[str, float]]:
        """The layers with a value at the latest step, and these values."""
        rows = zip(self.names, self.values, strict=True)
        return [(name, row[-1]) for name, row in rows if row and row[-1] is not None]


def of_layers(document: Document, key: str) -> Table:
    """A number of the layers at each probe; layers without it are left out."""
    probes = [probe for probe in document.get("probes") or [] if probe.get("layers")]
    found = [_by_name(probe["layers"], key) for probe in probes]
    names = list(max(found, key=len, default={}))
    values = [[row.get(name) for row in found] for name in names]
    return _with_values([name for name, _ in names], [probe["step"] for probe in probes], values)


def _by_name(layers, key):
    """`{(name, occurrence): value}`: a shared layer is called several times."""
    seen, result = {}, {}
    for row in layers:
        seen[row["layer"]] = seen.get(row["layer"], 0) + 1
        result[row["layer"], seen[row["layer"]]] = number(row.get(key))
    return result


def of_updates(document: Document) -> Table:
    """‖Δw‖ / ‖w‖ of the largest update among the kernels of each layer, at each observed step."""
    owners, steps = _kernels(document), document.get("steps") or []
    names = list(dict.fromkeys(owners.values()))
    values = [[_largest(step, [p for p in owners if owners[p] == name]) for step in steps] for name in names]
    return _with_values(names, [step["step"] for step in steps], values)


def _kernels(document):
    """`{path: layer}` of kernels and embeddings; of all weights if there are none."""
    probes = [probe["layers"] for probe in document.get("probes") or [] if probe.get("layers")]
    owners = {w["path"]: row["layer"] for row in (probes[0] if probes else []) for w in row.get("weights") or []}
    chosen = {path: layer for path, layer in owners.items() if path.endswith(("kernel", "embeddings"))}
    return chosen or owners


def _largest(step, paths):
    found = [number((step["weights"].get(path) or {}).get("update")) for path in paths]
    known = [value for value in found if value is not None]
    return next((value for value in known if not math.isfinite(value)), max(known, default=None))


def _with_values(names, steps, values):
    kept = [(name, row) for name, row in zip(names, values, strict=True) if any(v is not None for v in row)]
    return Table([name for name, _ in kept], steps, [row for _, row in kept])


def thinned(table: Table) -> Table:
    """A table small enough to be drawn: evenly spaced layers and steps."""
    rows, columns = picked(len(table.names), _ROWS), picked(len(table.steps), _COLUMNS)
    values = [[table.values[row][column] for column in columns] for row in rows]
    return Table([table.names[row] for row in rows], [table.steps[column] for column in columns], values)


def flow_section(document: Document) -> str:
    """The three heat maps."""
    gradient, signal, update = of_layers(document, "gradient"), of_layers(document, "std"), of_updates(document)
    return (
        _part("gradient", "Gradient of the signal", "∂ loss / ∂ output, root mean square", gradient, gradient_reading)
        + _part("signal", "Spread of the signal", "standard deviation of the outputs", signal, signal_reading)
        + _part("update", "Update relative to the kernels", "‖Δw‖ / ‖w‖ in one step", update, update_reading)
    )


def _part(uid, title, quantity, found, read) -> str:
    if not found.names:
        return f"<h3>{title}</h3><p>Not measured.</p>"
    small, sentence = thinned(found), read(found)
    rows = "".join(f'<span title="{esc(name)}">{esc(name)}</span>' for name in small.names)
    described = f"Rows are layers in call order, columns are steps. {sentence}"
    drawn = heat_map(uid, f"{title} of each layer over the steps", described, small.values, small.steps)
    return (
        f"<h3>{title}</h3><p>{esc(sentence)}</p><figure>{legend(f'{uid}-scale', quantity, small.values)}"
        f'<div class="map"><div class="names" aria-hidden="true">{rows}</div>{drawn}</div>'
        "<figcaption>Rows: layers in call order. Columns: the steps at which the run was measured."
        f"{_left_out(found, small)}</figcaption></figure>{_numbers(title, small)}"
    )


def _left_out(found, small):
    pairs = (("layers", found.names, small.names), ("looks", found.steps, small.steps))
    shown = [f"{len(part)} of {len(whole)} {word}" for word, whole, part in pairs if len(part) < len(whole)]
    return f" Shown: {' and '.join(shown)}." if shown else ""


def _numbers(title, small):
    rows = ([esc(name), *map(short, row)] for name, row in zip(small.names, small.values, strict=True))
    head = ["layer", *(f"{step:,}" for step in small.steps)]
    return folded(f"{title} as numbers", table(f"{title}: one row per layer, one column per step", head, rows))


def broken(table: Table, word: str) -> str | None:
    """The sentence about values that are not finite, or `None`."""
    for column, step in enumerate(table.steps):
        rows = zip(table.names, table.values, strict=True)
        bad = [name for name, row in rows if row[column] is not None and not math.isfinite(row[column])]
        if bad:
            when = "From the start" if step == 0 else f"From step {step:,} on"
            return f"{when} the {word} is not a number in {listed(bad)} (marked with ×)."
    return None


def gradient_reading(found: Table) -> str:
    """How the gradient changes on its way back through the layers."""
    rows, at = found.last(), f"at step {found.steps[-1]:,}"
    zeros = [name for name, value in rows if value == 0]
    if broken(found, "gradient") or not rows:
        return broken(found, "gradient") or "No gradient was measured at the last look."
    if zeros:
        return f"No gradient at all reaches {listed(zeros)} {_zero_since(found, zeros)} (marked with –)."
    (first, low), (last, high) = rows[0], rows[-1]
    if max(high / low, low / high) > _FAR:
        way = "falls" if low < high else "grows"
        fades = ": the color fades towards the first layer" if low < high else ""
        return f"From {last} back to {first} the gradient {way} from {short(high)} to {short(low)} {at}{fades}."
    return _even("gradient", found)


def signal_reading(found: Table) -> str:
    """How the spread of the signal changes on its way through the layers."""
    rows, at = found.last(), f"at step {found.steps[-1]:,}"
    still = [name for name, value in rows if value == 0]
    if broken(found, "signal") or not rows:
        return broken(found, "signal") or "No signal was measured at the last look."
    if still:
        return (
            f"The outputs of {listed(still)} are the same for all samples {_zero_since(found, still)} (marked with –)."
        )
    # The output has a scale of its own.
    (first, start), (last, end) = rows[0], rows[-2 if len(rows) > 2 else -1]
    if max(start / end, end / start) > _FAR:
        way = "falls" if end < start else "grows"
        between = f"From {first} to {last} the spread {way} from {short(start)} to {short(end)} {at}"
        return f"{between}; about 1 in every layer is healthy."
    return _even("spread of the signal", found)


def _zero_since(found: Table, names: list[str]) -> str:
    """The step since which the values of all of these layers have been zero."""
    rows = [row for name, row in zip(found.names, found.values, strict=True) if name in names]
    column = len(found.steps)
    while column and all(row[column - 1] == 0 for row in rows):
        column -= 1
    return "from the start" if found.steps[column] == 0 else f"from step {found.steps[column]:,} on"


def update_reading(found: Table) -> str:
    """How long the steps are; a thousandth of the weights is usual."""
    rows, usual = found.last(), "about 1e-3 is usual"
    if broken(found, "update") or not rows:
        return broken(found, "update") or f"No update was measured at the last look; {usual}."
    low, high = min(rows, key=_value), max(rows, key=_value)
    step = f"{found.steps[-1]:,}"
    if high[1] == 0:
        return f"Step {step} moves no kernel; {usual}."
    span = f"{short(low[1])} ({low[0]}) to {short(high[1])} ({high[0]})" if low[1] != high[1] else short(high[1])
    return f"In step {step} the kernels change by {span} of their size; {usual}."


def _even(word: str, found: Table) -> str:
    """The smallest and the largest value at the latest step, and a large change since the first one."""
    rows = found.last()
    low, high = min(rows, key=_value), max(rows, key=_value)
    if len(rows) == 1:
        sentence = f"The {word} of {low[0]} is {short(low[1])} at step {found.steps[-1]:,}."
    else:
        between = f"between {short(low[1])} ({low[0]}) and {short(high[1])} ({high[0]})"
        sentence = f"The {word} lies {between} at step {found.steps[-1]:,}, a factor of {short(high[1] / low[1])}."
    first = [row[0] for row in found.values if row[0] is not None and math.isfinite(row[0]) and row[0] > 0]
    if first:
        start, end = statistics.median(first), statistics.median([value for _, value in rows])
        if max(start / end, end / start) > _FAR:
            way = "falls" if end < start else "grows"
            sentence += f" Over the run it {way} from {short(start)} to {short(end)} (median of the layers)."
    return sentence


def _value(entry: tuple[str, float]) -> float:
    return entry[1]
