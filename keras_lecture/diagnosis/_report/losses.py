"""The losses of a run as charts, with the findings and treatments where they began and ended."""

import math
from typing import Any

from keras_lecture.diagnosis._record.record import PROBE_SAMPLES, number
from keras_lecture.diagnosis._report.charts import Scale, Series, chart, thinned
from keras_lecture.diagnosis._report.document import Document, steps_and_epochs
from keras_lecture.diagnosis._report.markup import folded, table
from keras_lecture.diagnosis._report.text import esc, is_finite, listed, short

_METRICS = 6


def step_losses(document: Document) -> list[tuple[float, float]]:
    """The training losses of the steps, from which optimizers see them."""
    losses = document.get("losses") or {"steps": [], "values": []}
    return [(s, number(v)) for s, v in zip(losses["steps"], losses["values"], strict=True) if v is not None]


def probe_losses(document: Document, part: str) -> list[tuple[float, float]]:
    """The losses of `"train"` or `"validation"` samples, measured in inference mode at each look."""
    found = [(probe["step"], (probe.get(part) or {}).get("loss")) for probe in document.get("probes") or []]
    return [(step, number(loss)) for step, loss in found if loss is not None]


def logged(document: Document, name: str) -> list[tuple[float, float]]:
    """A metric of the epochs' logs."""
    rows = [(entry["step"], entry.get("logs", {}).get(name)) for entry in document.get("epochs") or []]
    return [(step, number(value)) for step, value in rows if value is not None]


def curves(document: Document) -> list[Series]:
    """The lines of the first chart, those with data."""
    steps = thinned(step_losses(document)) or thinned(logged(document, "loss"))
    lines = [
        Series("training loss, each step", "steps", steps),
        Series("validation loss, from the logs", "logged", thinned(logged(document, "val_loss"))),
        Series("training loss, measured", "train", probe_losses(document, "train"), "circle"),
        Series("validation loss, measured", "validation", probe_losses(document, "validation"), "square"),
    ]
    return [line for line in lines if line.points]


def span(document: Document) -> Scale:
    """The scale of the steps."""
    return Scale(0, max(steps_and_epochs(document)[0], 1))


def loss_section(document: Document, findings: list[dict[str, Any]]) -> str:
    """The chart of the losses, its reading, the times of findings, and a table of the numbers."""
    lines, x = curves(document), span(document)
    if not lines:
        is_over = steps_and_epochs(document)[0] == 0 and document.get("fit")
        return f"<p>No loss was recorded{': the run ended before its first step' if is_over else ''}.</p>"
    described = reading(document)
    shown = shown_findings(findings)
    drawn = chart(
        "loss",
        "Loss over the steps of the run",
        described,
        lines,
        x,
        marks=marks(document, shown),
        level=chance(document),
    )
    note = (
        f"<figcaption>Measured: in inference mode, on the same samples each time, at most {PROBE_SAMPLES} of each "
        "part. The losses of the steps and of the logs are those that <code>fit</code> reports.</figcaption>"
    )
    parts = [f"<p>{esc(described)}</p>{figure(lines, drawn, note)}"]
    parts.append(timeline(document, shown, len(findings) - len(shown), x))
    parts.append(loss_table(document))
    return "".join(parts)


def figure(lines: list[Series], drawn: str, caption: str = "") -> str:
    """A chart with its caption and the names of its lines."""
    return f'<figure>{line_legend(lines)}<div class="plot">{drawn}</div>{caption}</figure>'


def line_legend(lines: list[Series]) -> str:
    """The names of lines, each with a piece of it."""
    keys = []
    for line in lines:
        shape = {"circle": '<circle cx="16" cy="6" r="3.5"', "square": '<rect x="12.5" y="2.5" width="7" height="7"'}
        marker = f'{shape[line.marker]} class="{line.style}"/>' if line.marker else ""
        sample = f'<path class="line {line.style}" d="M0,6H32"/>{marker}'
        keys.append(f'<span><svg class="sample" aria-hidden="true">{sample}</svg> {esc(line.name)}</span>')
    return f'<div class="legend">{"".join(keys)}</div>'


def chance(document: Document) -> tuple[float, str] | None:
    """The loss of the best constant prediction."""
    loss = ((document.get("start") or {}).get("chance") or {}).get("loss")
    return (number(loss), f"a constant prediction: {short(loss)}") if is_finite(loss) else None


def first_nonfinite(points: list[tuple[float, float]]) -> float | None:
    """The first step whose value is not a number or infinite."""
    return next((step for step, value in points if not math.isfinite(value)), None)


def reading(document: Document) -> str:
    """Sentences that say what to see in the chart of the losses, measured ones if there are any."""
    train, held_out = (probe_losses(document, part) for part in ("train", "validation"))
    everything = sorted([*step_losses(document), *train])
    broken, parts = first_nonfinite(everything), []
    if broken is not None:
        where = "From the start" if broken == 0 else f"From step {broken:,.0f} on"
        parts.append(f"{where} the training loss is not a number: nothing after it can be used.")
    finite = [point for point in train or step_losses(document) if math.isfinite(point[1])]
    if len(finite) > 1:
        start, end = short(finite[0][1]), short(finite[-1][1])
        way = "falls" if finite[-1][1] < finite[0][1] else "rises"
        of = ", measured in inference mode," if train else ""
        parts.append(f"The training loss{of} {f'stays at {end}' if start == end else f'{way} from {start} to {end}'}.")
    start = document.get("start") or {}
    if is_finite(start.get("regularization")) and start["regularization"] > 0.1 * abs(start["loss"]):
        parts.append(f"At the start {short(start['regularization'])} of {short(start['loss'])} are penalties.")
    finite = [point for point in held_out or logged(document, "val_loss") if math.isfinite(point[1])]
    if len(finite) > 1:
        step, best = min(finite, key=lambda point: point[1])
        last, least = short(finite[-1][1]), short(best)
        where = "at the end of the run" if last == least else f"at step {step:,.0f}, and ends at {last}"
        stays = len({short(loss) for _, loss in finite}) == 1
        parts.append(f"The validation loss {f'stays at {last}' if stays else f'is smallest, {least}, {where}'}.")
    if any(loss.get("sums") for loss in (document.get("model") or {}).get("losses") or []):
        parts.append("The loss is a sum over samples, and the measured ones are of more samples than a step's.")
    if chance(document) is not None:
        parts.append(f"A constant prediction has {short(chance(document)[0])}.")
    return " ".join(parts)


def shown_findings(findings: list[dict[str, Any]], most: int = 6) -> list[tuple[int, dict[str, Any]]]:
    """The numbered findings of the chart: those that are not low, then low ones up to `most`."""
    numbered = list(enumerate(findings, 1))
    chosen = [entry for entry in numbered if entry[1]["severity"] != "low"][: 2 * most]
    chosen += [entry for entry in numbered if entry[1]["severity"] == "low"][: max(most - len(chosen), 0)]
    return sorted(chosen, key=lambda entry: entry[0])


def marks(document: Document, shown: list[tuple[int, dict[str, Any]]]) -> list[tuple[float, str, str]]:
    """Vertical lines where findings that are not low began or ended, and where the loss stopped being a number."""
    places: dict[float, list[str]] = {}
    for index, finding in shown:
        if finding["severity"] != "low" and finding["first_step"] > 0:
            places.setdefault(finding["first_step"], []).append(f"finding {index} begins")
        if not finding["is_open"]:
            places.setdefault(finding["last_step"], []).append(f"finding {index} ends")
    broken = first_nonfinite(sorted([*step_losses(document), *probe_losses(document, "train")]))
    if broken is not None:
        places.setdefault(broken, []).append("not a number")
    return spaced(
        [(step, ", ".join(labels), "bad" if step == broken else "") for step, labels in places.items()], document
    )


def spaced(found: list[tuple[float, str, str]], document: Document) -> list[tuple[float, str, str]]:
    """Marks in order; one close to the mark before it has its label there, because labels must not overlap."""
    result, least = [], 0.15 * span(document).high
    labelled = -math.inf
    for step, label, style in sorted(found):
        if step - labelled < least:
            index = next(i for i, entry in enumerate(result) if entry[0] == labelled)
            result[index] = (labelled, f"{result[index][1]}, {label}", result[index][2])
            label = ""
        else:
            labelled = step
        result.append((step, label, style))
    return result


def timeline(document: Document, shown: list[tuple[int, dict[str, Any]]], hidden: int, x: Scale) -> str:
    """One row per finding and treatment, with a bar from its first to its last step."""
    rows = [_finding_row(index, finding, x) for index, finding in shown]
    for index, action in enumerate(document.get("actions") or [], 1):
        words = f"step {action['step']:,}{', undone' if action.get('undone') else ''}"
        dot = _bar(x, action["step"], action["step"], "action", False)
        name = f"{action['kind']} for {action['rule']}"
        rows.append(f'<li><a href="#action-{index}">{esc(name)}</a> <small>treatment, {words}</small>{dot}</li>')
    if not rows:
        return ""
    note = f"<p><small>{hidden} more of low severity in the table of findings.</small></p>" if hidden > 0 else ""
    return f'<h3>When the findings held</h3><ul class="times">{"".join(rows)}</ul>{note}'


def _finding_row(index, finding, x):
    place = f" in {finding['layer']}" if finding["layer"] else ""
    begins = "from the start" if finding["first_step"] <= 0 else f"from step {finding['first_step']:,}"
    ends = "to the end" if finding["is_open"] else f"closed after step {finding['last_step']:,}"
    last = x.high if finding["is_open"] else finding["last_step"]
    bar = _bar(x, finding["first_step"], last, finding["severity"], finding["is_open"])
    name = f"{index}. {finding['rule']}{place}"
    words = f"{finding['severity']}, {begins}, {ends}"
    return f'<li><a href="#finding-{index}">{esc(name)}</a> <small>{words}</small>{bar}</li>'


def _bar(x, first, last, style, is_open):
    start, end = (100 * min(max(x(step), 0), 1) for step in (first, last))
    stop = "" if is_open else f'<line class="bar b-{style}" x1="{end:.2f}%" x2="{end:.2f}%" y1="1" y2="11"/>'
    line = f'<line class="bar b-{style}" x1="{start:.2f}%" x2="{end:.2f}%" y1="6" y2="6"/>'
    dot = f'<circle class="b-{style}" cx="{start:.2f}%" cy="6" r="4"/>'
    return f'<svg class="chart" aria-hidden="true" width="100%" height="12">{line}{stop}{dot}</svg>'


def loss_table(document: Document) -> str:
    """The measured losses as numbers."""
    rows = []
    for probe in (document.get("probes") or [])[-64:]:
        parts = [probe.get(part) or {} for part in ("train", "validation")]
        numbers = [short(part.get(key)) for part in parts for key in ("loss", "accuracy")]
        rows.append([f"{probe['step']:,}", *numbers])
    if not rows:
        return ""
    head = ("step", "training loss", "training accuracy", "validation loss", "validation accuracy")
    caption = "Measured in inference mode, on the same samples each time"
    return folded("The losses as numbers", table(caption, head, rows))


def metric_section(document: Document) -> str:
    """One small chart for each other metric that `fit` logged."""
    names = list(dict.fromkeys(name for entry in document.get("epochs") or [] for name in entry.get("logs", {})))
    known = ("loss", "val_loss", "learning_rate", "lr")
    plain = [name for name in names if name not in known and not (name.startswith("val_") and name[4:] in names)]
    x, parts = span(document), []
    for index, name in enumerate(plain[:_METRICS]):
        both = (("training", "train", name), ("validation", "validation", f"val_{name}"))
        lines = [Series(word, style, thinned(logged(document, key))) for word, style, key in both]
        lines = [line for line in lines if line.points]
        ends = ", ".join(f"{line.name} {short(line.points[-1][1])}" for line in lines)
        drawn = chart(
            f"metric{index}", f"{name} over the steps of the run", f"At the end: {ends}.", lines, x, height=110
        )
        parts.append(
            f"<div><h4>{esc(name)}</h4>{figure(lines, drawn, f'<figcaption>At the end: {ends}.</figcaption>')}</div>"
        )
    if not parts:
        return ""
    rest = f"<p><small>Not drawn: {esc(listed(plain[_METRICS:], 12))}.</small></p>" if plain[_METRICS:] else ""
    head = "Metrics that <code>fit</code> logged, those of training as means over an epoch"
    return f'<h3>{head}</h3><div class="panels">{"".join(parts)}</div>{rest}'
