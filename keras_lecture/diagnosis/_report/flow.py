"""Gradients, signals and updates of each layer over time, with sentences that say what to see in them."""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any

from keras_lecture.diagnosis._record.record import number
from keras_lecture.diagnosis._report.document import Document
from keras_lecture.diagnosis._report.heat import heat_map, legend
from keras_lecture.diagnosis._report.losses import scroller
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
    parts = [
        _part(
            "gradient",
            "Gradient",
            "∂ loss / ∂ signal, root mean square",
            of_layers(document, "gradient"),
            gradient_reading,
        ),
        _part(
            "signal",
            "Spread of the signal",
            "standard deviation of the outputs",
            of_layers(document, "std"),
            signal_reading,
        ),
        _part(
            "update", "Update relative to the weights", "‖Δw‖ / ‖w‖ in one step", of_updates(document), update_reading
        ),
    ]
    return "".join(parts)


def _part(uid, title, quantity, table, read) -> str:
    if not table.names:
        return f"<h3>{title}</h3><p>Not measured.</p>"
    small, sentence = thinned(table), read(table)
    rows = "".join(f'<span title="{esc(name)}">{esc(name)}</span>' for name in small.names)
    described = f"Rows are layers in call order, columns are steps. {sentence}"
    drawn = heat_map(uid, f"{title} of each layer over the steps", described, small.values, small.steps)
    left_out = [
        f"{len(part)} of {len(whole)} {word}"
        for word, part, whole in (("layers", small.names, table.names), ("looks", small.steps, table.steps))
        if len(part) < len(whole)
    ]
    note = f" Shown: {' and '.join(left_out)}." if left_out else ""
    return (
        f"<h3>{title}</h3><p>{esc(sentence)}</p><figure>{legend(f'{uid}-scale', quantity, small.values)}"
        f'<div class="map"><div class="names" aria-hidden="true">{rows}</div>{drawn}</div>'
        f"<figcaption><small>Rows: layers in call order. Columns: steps at which the doctor looked.{note}</small>"
        f"</figcaption></figure>{_numbers(title, small)}"
    )


def _numbers(title, table):
    head = "".join(f'<th scope="col">{step:,}</th>' for step in table.steps)
    body = "".join(
        f'<tr><th scope="row">{esc(name)}</th>{"".join(f"<td>{short(value)}</td>" for value in row)}</tr>'
        for name, row in zip(table.names, table.values, strict=True)
    )
    caption = f"<caption>{title}: one row per layer, one column per step</caption>"
    content = f'<table>{caption}<thead><tr><th scope="col">layer</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f"<details><summary>{title} as numbers</summary>{scroller(f'{title} as numbers', content)}</details>"


def broken(table: Table, word: str) -> str | None:
    """The sentence about values that are not finite, or `None`."""
    for column, step in enumerate(table.steps):
        rows = zip(table.names, table.values, strict=True)
        bad = [name for name, row in rows if row[column] is not None and not math.isfinite(row[column])]
        if bad:
            when = "From the start" if step == 0 else f"From step {step:,} on"
            return f"{when} the {word} is not a number in {listed(bad)} (marked with ×)."
    return None


def gradient_reading(table: Table) -> str:
    """How the gradient changes on its way back through the layers."""
    sentence = broken(table, "gradient")
    if sentence:
        return sentence
    zeros = [name for name, value in table.last() if value == 0]
    if zeros:
        return f"At step {table.steps[-1]:,} no gradient at all reaches {listed(zeros)} (marked with –)."
    rows = table.last()
    if len(rows) < 2:
        return (
            f"Only {listed([name for name, _ in rows])} has a gradient; it is {short(rows[0][1])} at the end."
            if rows
            else "No gradient was measured at the last look."
        )
    (first, low), (last, high) = rows[0], rows[-1]
    at = f"at step {table.steps[-1]:,}"
    if high / low > _FAR:
        return f"From {last} back to {first} the gradient falls from {short(high)} to {short(low)} ({at}): the color fades towards the top."
    if low / high > _FAR:
        return f"From {last} back to {first} the gradient grows from {short(high)} to {short(low)} ({at})."
    return _even("gradient", rows, at, table)


def signal_reading(table: Table) -> str:
    """How the spread of the signal changes on its way through the layers."""
    sentence = broken(table, "signal")
    if sentence:
        return sentence
    rows, at = table.last(), f"at step {table.steps[-1]:,}"
    still = [name for name, value in rows if value == 0]
    if still:
        return f"At step {table.steps[-1]:,} the outputs of {listed(still)} are the same for every sample and unit (marked with –)."
    if len(rows) < 2:
        return f"The spread is {short(rows[0][1])} at the end." if rows else "No signal was measured at the last look."
    (first, start), (last, end) = rows[0], rows[-1]
    low, high = min(rows, key=_value), max(rows, key=_value)
    if high[1] / low[1] > _FAR:
        way = "falls" if end < start else "grows"
        if {low[0], high[0]} == {first, last}:
            return f"From {first} to {last} the spread {way} from {short(start)} to {short(end)} ({at}); about 1 in every layer is healthy."
        return f"The spread lies between {short(low[1])} in {low[0]} and {short(high[1])} in {high[0]} ({at}); about 1 in every layer is healthy."
    return _even("spread of the signal", rows, at, table)


def update_reading(table: Table) -> str:
    """How long the steps are; a thousandth of the weights is usual."""
    sentence = broken(table, "update")
    if sentence:
        return sentence
    rows, usual = table.last(), "about 1e-3 is usual"
    if not rows:
        return f"No update was measured at the last look; {usual}."
    low, high = min(rows, key=_value), max(rows, key=_value)
    if high[1] == 0:
        return f"At step {table.steps[-1]:,} no weight moves; {usual}."
    between = (
        f"between {short(low[1])} ({low[0]}) and {short(high[1])} ({high[0]})"
        if low[1] != high[1]
        else f"by {short(high[1])}"
    )
    return f"Step {table.steps[-1]:,} changes the weights of a layer {between} of their size; {usual}."


def _even(word: str, rows: list[tuple[str, Any]], at: str, table: Table) -> str:
    low, high = min(rows, key=_value), max(rows, key=_value)
    sentence = f"The {word} lies between {short(low[1])} ({low[0]}) and {short(high[1])} ({high[0]}) {at}: no large differences."
    if high[1] / low[1] > _FAR:
        sentence = sentence.replace(": no large differences", "")
    first = [row[0] for row in table.values if row[0] is not None and math.isfinite(row[0])]
    middle = [statistics.median(values) for values in (first, [value for _, value in rows])] if first else None
    if middle and min(middle) > 0 and max(middle) / min(middle) > _FAR:
        way = "falls" if middle[1] < middle[0] else "grows"
        sentence += f" Over the run it {way} from {short(middle[0])} to {short(middle[1])} (median of the layers)."
    return sentence


def _value(entry):
    return entry[1]
