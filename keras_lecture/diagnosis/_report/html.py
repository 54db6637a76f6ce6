"""The report of a run as one HTML page without any request to elsewhere."""

import os
from typing import Any

from keras_lecture._core.whole_files import written
from keras_lecture.diagnosis._report.compare import comparison
from keras_lecture.diagnosis._report.document import Document, steps_and_epochs
from keras_lecture.diagnosis._report.flow import flow_section
from keras_lecture.diagnosis._report.losses import loss_section, metric_section
from keras_lecture.diagnosis._report.markup import badge
from keras_lecture.diagnosis._report.model import model_section
from keras_lecture.diagnosis._report.style import SCRIPT, policy, style
from keras_lecture.diagnosis._report.summary import counted, ordered, status_of, verdict
from keras_lecture.diagnosis._report.tables import actions_section, findings_section, judged_section
from keras_lecture.diagnosis._report.text import esc, prose, short


def write_page(path: str | os.PathLike[str], document: Document, other: Document | None = None) -> None:
    """Writes the page; the file is replaced as a whole."""
    text = page(document, other)
    with written(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def page(document: Document, other: Document | None = None) -> str:
    """The page of a document; with another one, both side by side come first."""
    sections = _sections(document, other)
    links = "".join(f'<li><a href="#{uid}">{title}</a></li>' for uid, title, _ in sections)
    body = "".join(
        f'<section aria-labelledby="{uid}"><h2 id="{uid}">{title}</h2>{content}</section>'
        for uid, title, content in sections
    )
    name = esc((document.get("model") or {}).get("name") or "a model")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Training report: {name}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy()}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{style()}</style></head><body>"
        '<a class="skip" href="#content">To the report</a>'
        f'<div class="top"><nav aria-label="Sections"><ul>{links}</ul></nav>'
        '<button type="button" id="theme" aria-pressed="false" hidden>Dark</button></div>'
        f"<header><h1>{badge(status_of(document))}<br>{headline(document)}</h1>"
        f'<p class="facts">{facts(document)}</p></header>'
        f'<main id="content" tabindex="-1">{body}</main>'
        f"<footer>{_versions(document)}</footer>"
        f'<div id="say" role="status" class="skip"></div><script>{SCRIPT}</script></body></html>\n'
    )


def _sections(document, other) -> list[tuple[str, str, str]]:
    findings = ordered(document["findings"])
    sections = [("losses", "Losses", loss_section(document, findings) + metric_section(document))]
    if document.get("probes"):
        sections.append(("layers", "Layers over time", flow_section(document)))
    sections.append(("findings", "Findings", findings_section(document, findings)))
    if document.get("actions") or document.get("untreated"):
        sections.append(("treatments", "Treatments", actions_section(document)))
    sections.append(("model", "Model", model_section(document)))
    sections.append(("judged", "What was judged", judged_section(document)))
    if other is not None:
        sections.insert(0, ("comparison", "Two runs", comparison(document, other)))
    return sections


def headline(document: Document) -> str:
    """The verdict, with the cure in a lighter weight."""
    fault, mark, cure = prose(verdict(document)).partition("; to do: ")
    return f'{fault}<span class="cure">{mark}{cure}</span>' if mark else fault


def facts(document: Document) -> str:
    """Model, optimizer, loss and length of the run in one line."""
    model, fit = document.get("model") or {}, document.get("fit") or {}
    optimizer: dict[str, Any] = model.get("optimizer") or {}
    steps, epochs = steps_and_epochs(document)
    parts = [model.get("name"), f"{model['parameters']:,} weights" if model.get("parameters") else None]
    if optimizer.get("class"):
        rate = optimizer.get("learning_rate")
        words = [optimizer["class"]]
        if rate is not None:
            known = [step["learning_rate"] for step in document.get("steps") or [] if step.get("learning_rate")]
            last = short(known[-1]) if known else short(rate)
            words.append(f"learning rate {short(rate)}" + (f" to {last}" if last != short(rate) else ""))
        parts.append(", ".join(words))
        if optimizer.get("momentum"):
            parts[-1] += f", momentum {short(optimizer['momentum'])}"
    parts.extend(dict.fromkeys(loss.get("class") for loss in model.get("losses") or []))
    parts.append(f"{counted(steps, 'step')} in {counted(epochs, 'epoch')}")
    if fit.get("batch_size"):
        parts.append(f"batches of {fit['batch_size']}")
    data = document.get("data") or {}
    if data.get("rows") and data.get("whole"):
        sizes = " × ".join(map(str, data["inputs"][0]["shape"])) if len(data.get("inputs") or []) == 1 else ""
        parts.append(
            f"{counted(data['rows'], 'row')} of training data"
            + (f" of {sizes} number{'' if sizes == '1' else 's'}" if sizes else "")
        )
    return " · ".join(esc(part) for part in parts if part)


def _versions(document):
    words = [
        f"{name} {document[key]}"
        for name, key in (("keras_lecture", "library"), ("Keras", "keras"))
        if document.get(key)
    ]
    decks = "Decks A to E are the five lectures whose methods keras_lecture implements."
    return esc(f"Made from the record of the run by {', '.join(words)}, on {document.get('backend')}. {decks}")


def fragment(document: Document) -> str:
    """The verdict and the findings for a notebook, with styles that touch nothing else."""
    cell = 'style="text-align:left;vertical-align:top;padding:.2em 1em .2em 0"'
    rows = []
    for finding in [f for f in ordered(document["findings"]) if f["is_open"]][:12]:
        words = (finding["severity"], finding["rule"], finding["layer"] or "–", finding["cause"], finding["cure"])
        rows.append(f"<tr>{''.join(f'<td {cell}>{prose(word)}</td>' for word in words)}</tr>")
    head = "".join(f'<th scope="col" {cell}>{word}</th>' for word in ("Severity", "Rule", "Layer", "Cause", "To do"))
    table = f'<table style="font-size:.9em"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return (
        f'<div style="max-width:60em;line-height:1.5"><p style="margin:.3em 0">{badge(status_of(document))}<br>'
        f"<strong>{prose(verdict(document))}</strong></p>{table if rows else ''}</div>"
    )
