"""Two runs side by side, and where they part first."""

import math
from typing import Any

from keras_lecture.diagnosis._report.charts import Scale, Series, chart, thinned
from keras_lecture.diagnosis._report.document import Document
from keras_lecture.diagnosis._report.flow import of_layers
from keras_lecture.diagnosis._report.losses import figure, logged, probe_losses, span, step_losses
from keras_lecture.diagnosis._report.markup import badge
from keras_lecture.diagnosis._report.summary import ordered, status_of, verdict
from keras_lecture.diagnosis._report.tables import findings_table
from keras_lecture.diagnosis._report.text import esc, prose, short

# Losses part at a relative difference, signals and gradients of layers at a ratio.
LOSSES, LAYERS = 0.05, 2.0


def comparison(first: Document, second: Document) -> str:
    """The step at which the runs part, both losses in one chart, and the verdict and findings of each."""
    sentence = parting(first, second)
    x = Scale(0, max(span(first).high, span(second).high))
    lines = [*_lines(first, "first", "train"), *_lines(second, "second", "second")]
    title = "Training losses of both runs over their steps"
    drawn = figure(lines, chart("both", title, sentence, lines, x, marks=_marks(first, second))) if lines else ""
    columns = "".join(_column(name, document) for name, document in (("First run", first), ("Second run", second)))
    return (
        f'<p>{esc(sentence)}</p>{drawn}<div class="two">{columns}</div>'
        "<p><small>The sections below are about the first run.</small></p>"
    )


def _lines(document, name, style):
    points = thinned(_losses(document))
    return [Series(f"training loss of the {name} run", style, points)] if points else []


def _losses(document):
    return step_losses(document) or logged(document, "loss") or probe_losses(document, "train")


def _column(name, document):
    findings = [finding for finding in ordered(document["findings"]) if finding["is_open"]]
    table = findings_table(document, findings, "") if findings else "<p>No open findings.</p>"
    return f"<div><h3>{name} {badge(status_of(document))}</h3><p>{prose(verdict(document))}</p>{table}</div>"


def _marks(first, second):
    loss = first_loss(first, second)
    return [] if loss is None else [(loss[0], "they part", "")]


def parting(first: Document, second: Document) -> str:
    """Sentences that say at which step the losses part, and at which step and in which layer the signals do."""
    loss, layer, parts = first_loss(first, second), first_layer(first, second), []
    apart, ratio = f"more than {100 * LOSSES:.0f} % apart", f"a ratio above {LAYERS:g}"
    if loss is not None:
        step, a, b = loss
        parts.append((step, f"The training losses part at step {step:,.0f}: {short(a)} and {short(b)} ({apart})."))
    if layer is not None:
        step, name, word, a, b = layer
        values = f"its {word} is {short(a)} and {short(b)} ({ratio})"
        parts.append((step, f"The layers part at step {step:,}, first {name}: {values}."))
    counts = [len(of_layers(document, "std").names) for document in (first, second)]
    if counts[0] != counts[1]:
        words = f"{counts[0]} and {counts[1]}"
        parts.append((math.inf, f"The layers are not compared: {words} of them were measured."))
    if not parts:
        rest = f"no layer's signal or gradient has {ratio}"
        return f"The runs do not part: no training loss at a common step is {apart}, and {rest}."
    return " ".join(sentence for _, sentence in sorted(parts, key=lambda part: part[0]))


def first_loss(first: Document, second: Document) -> tuple[float, float, float] | None:
    """The first common step at which the training losses differ, and both; the probes' losses before the steps'."""
    found = []
    for read in (lambda document: probe_losses(document, "train"), _losses):
        others = dict(read(second))
        pairs = ((step, value, others[step]) for step, value in read(first) if step in others)
        found.extend([next((pair for pair in pairs if differs(pair[1], pair[2], 1 + LOSSES)), None)])
    return min((pair for pair in found if pair is not None), default=None, key=lambda pair: pair[0])


def differs(a: float, b: float, ratio: float) -> bool:
    """Whether two numbers have a larger ratio than allowed; a number that is not finite differs from a finite one."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return math.isfinite(a) != math.isfinite(b)
    low, high = sorted((abs(a), abs(b)))
    return a != b and (a * b <= 0 or high > ratio * low)


def first_layer(first: Document, second: Document) -> tuple[Any, ...] | None:
    """The first common probe, and in it the first layer, where spread or gradient differ: (step, layer, what, both)."""
    found = []
    for order, (key, word) in enumerate((("std", "spread"), ("gradient", "gradient"))):
        a, b = of_layers(first, key), of_layers(second, key)
        if len(a.names) != len(b.names):
            continue
        columns = {step: column for column, step in enumerate(b.steps)}
        for column, step in enumerate(a.steps):
            rows = zip(a.names, a.values, b.values, strict=True) if step in columns else ()
            for row, (name, x, y) in enumerate(rows):
                x, y = x[column], y[columns[step]]
                if x is not None and y is not None and differs(x, y, LAYERS):
                    found.append((step, order, row, name, word, x, y))
                    break
    if not found:
        return None
    step, _, _, name, word, x, y = min(found, key=lambda entry: entry[:3])
    return step, name, word, x, y
