"""Findings, treatments and open questions of a run as HTML."""

import operator
from typing import Any

from keras_lecture.diagnosis._report.document import Document
from keras_lecture.diagnosis._report.markup import badge, folded, table
from keras_lecture.diagnosis._report.summary import (
    applies,
    bounded,
    counted,
    judged_rules,
    may_follow,
    percent,
    rules_of,
    since_when,
)
from keras_lecture.diagnosis._report.text import esc, listed, prose, short
from keras_lecture.diagnosis._rules.measures import layers_by_name
from keras_lecture.diagnosis._rules.ranking import has_serious

# Findings that the page describes in full.
_MOST = 50
# Where a fault lies that no layer has.
_PLACES = {
    "the data": (
        *("bad-split", "constant-input", "input-dtype", "label-mismatch", "leaked-validation", "non-finite"),
        *("unbalanced-batches", "uncentered-input", "unlearnable-labels", "unscaled-input", "unscaled-target"),
        "unshuffled-batches",
    ),
    "the optimizer": ("learning-rate-too-high", "learning-rate-too-low", "oscillating-loss", "zig-zag"),
    "fit": ("batch-size", "cut-short", "monitor-mode", "no-validation", "repeated-batch-order", "samples-not-seen"),
}


def findings_section(document: Document, findings: list[dict[str, Any]]) -> str:
    """The table of findings, and each of them in full."""
    if not findings:
        return f"<p>None. {judged_rules(document)}.</p>"
    numbered = list(enumerate(map(bounded, findings), 1))
    heavy = [entry for entry in numbered if entry[1]["is_open"] and entry[1]["severity"] != "low"]
    light = [entry for entry in numbered if entry[1]["is_open"] and entry[1]["severity"] == "low"]
    effects = [entry for entry in light if heavy and may_follow(entry[1])]
    light = [entry for entry in light if entry not in effects]
    closed = [entry for entry in numbered if not entry[1]["is_open"]]
    hint = _on_code(finding["code"] for _, finding in [*heavy, *light, *closed])
    parts = [findings_table(document, findings), f"<p><small>{hint}</small></p>"]
    parts.extend(card(document, *entry) for entry in heavy[:_MOST])
    rest = _MOST - len(heavy[:_MOST])
    for title, group in (
        ("Low severity: worth knowing", light),
        ("Low severity: may follow from the findings above; look again when they are cured", effects),
        ("Closed: seen, and healed since", closed),
    ):
        parts.append(_folded(document, title, group[: max(rest, 0)], is_effect=group is effects))
        rest -= len(group)
    return "".join(parts)


def _on_code(codes):
    """The names and imports that the code on the page takes, and what `compile` forgets."""
    known = (
        "Code takes <code>x</code>, <code>y</code>, <code>x_val</code>, <code>y_val</code> and <code>model</code> for "
        "your data and your model, and needs <code>import keras</code> and <code>import numpy as np</code>."
    )
    compiles = any("model.compile(" in code for code in codes)
    return known + " <code>compile</code> forgets metrics and weights of losses: give it yours again." * compiles


def _folded(document, title, numbered, is_effect):
    inside = "".join(
        folded(
            f"{_titled(index, finding)} <small>{prose(finding['cause'])}</small>", _body(document, finding, is_effect)
        )
        for index, finding in numbered
    )
    return f"<h3>{title}</h3>{inside}" if inside else ""


def _titled(index, finding):
    place = f" in {finding['layer']}" if finding["layer"] else ""
    return f'<span id="finding-{index}">{index}. {esc(finding["rule"] + place)}</span>'


def findings_table(document: Document, findings: list[dict[str, Any]], prefix: str = "finding") -> str:
    """One row per finding: what, where, since when, how sure."""
    rows = []
    serious = has_serious(findings, operator.getitem)
    for index, finding in enumerate(map(bounded, findings[:_MOST]), 1):
        name = f"{index}. {esc(finding['rule'])}"
        name = f'<a href="#{prefix}-{index}">{name}</a>' if prefix else name
        when = since_when(document, finding)
        when += "" if finding["is_open"] else f", closed after step {finding['last_step']:,}"
        note = " <small>may follow</small>" if serious and may_follow(finding) else ""
        rows.append(
            [
                name,
                badge(finding["severity"]) + note,
                esc(_place(finding)),
                when,
                percent(finding["confidence"]),
            ]
        )
    rest = len(findings) - _MOST
    left_out = f"<p><small>{rest} more are in the JSON file.</small></p>" if rest > 0 else ""
    head = ("Finding", "Severity", "Where", "When", "Sure")
    caption = "The most severe first, likely consequences last. Sure: how probable it is that the finding is right"
    return table(caption, head, rows, "findings" if prefix else "beside") + left_out


def _place(finding):
    where = next((place for place, rules in _PLACES.items() if finding["rule"] in rules), "–")
    return finding["layer"] or where


def card(document: Document, index: int, finding: dict[str, Any]) -> str:
    """One finding in full."""
    return (
        f"<article><h3>{_titled(index, finding)} {badge(finding['severity'])}</h3>{_body(document, finding)}</article>"
    )


def _body(document, finding, is_effect=False):
    """The evidence, and what to do; what may follow from other findings has no cure of its own."""
    sure, when = percent(finding["confidence"]), since_when(document, finding)
    where = f"Layer {esc(finding['layer'])}, " if finding["layer"] else ""
    seen = f"{where}{when}, {sure} sure."
    evidence = "".join(f"<dt>{esc(name)}</dt><dd>{esc(value)}</dd>" for name, value in finding["evidence"].items())
    shown = (
        f"<p>{prose(finding['cause'])}</p><p><small>{seen[:1].upper() + seen[1:]}</small></p>"
        f'<dl class="evidence">{evidence}</dl>'
    )
    if is_effect:
        return shown
    return (
        f"{shown}<p><strong>To do.</strong> {prose(finding['cure'])}</p>"
        f"{_replacing(document, finding)}{code(finding['code'])}"
        f"<p><small>Taught in: {esc(finding['lecture'])}</small></p>"
    )


def _replacing(document, finding):
    """A sentence on how to use the code, if the code is a layer of the same class as the layer of the finding."""
    text = "Write this layer in place of the old one. Then build a new model, compile it and train it."
    name = layers_by_name(document).get(finding["layer"], {}).get("class")
    return f"<p><small>{text}</small></p>" if name and finding["code"].startswith(f"keras.layers.{name}(") else ""


def code(text: str) -> str:
    """Code with a button that copies it; the button appears if scripts run."""
    if not text:
        return ""
    return (
        '<div class="code"><button type="button" class="copy" hidden aria-label="Copy the code">Copy</button>'
        f'<pre tabindex="0"><code>{esc(text)}</code></pre></div>'
    )


def actions_section(document: Document) -> str:
    """The treatments that were applied while the model trained, and those that were refused."""
    items = []
    for index, action in enumerate(document.get("actions") or [], 1):
        change = (
            ""
            if action.get("before") is None and action.get("after") is None
            else (f" Before: {short(action.get('before'))}; after: {short(action.get('after'))}.")
        )
        undone = " Undone." if action.get("undone") else ""
        place = f" in {action['layer']}" if action.get("layer") else ""
        title = f"Step {action['step']:,}: {action['kind']}{place}, for {action['rule']}"
        items.append(
            f'<li id="action-{index}"><strong>{esc(title)}.</strong> {prose(action["text"])}{change}{undone}</li>'
        )
    applied = f"<ol>{''.join(items)}</ol>" if items else "<p>None was applied.</p>"
    refused = "".join(f"<li>{esc(sentence)}</li>" for sentence in (document.get("untreated") or [])[:50])
    return applied + (f"<h3>Refused</h3><ul>{refused}</ul>" if refused else "")


def judged_section(document: Document) -> str:
    """The rules that found nothing, those that could not tell or do not apply, and what could not be measured."""
    parts = [f"<p>{judged_rules(document)}.</p>"]
    unseen = "".join(f"<li>{esc(sentence)}</li>" for sentence in (document.get("unseen") or [])[:50])
    silent = _silent(document)
    if silent:
        parts.append(folded(f"Found nothing: {counted(len(silent), 'rule')}", f"<p>{esc(', '.join(silent))}.</p>"))
    if unseen:
        parts.append(f"<h3>Not measured</h3><ul>{unseen}</ul>")
    answers = document.get("unknown") or []
    missing, absent = [each for each in answers if applies(each)], [each for each in answers if not applies(each)]
    parts.append(_answers("Could not tell", {"reason": "Why it cannot tell", "needed": "Needed"}, missing))
    parts.append(_answers("Not about this run", {"reason": "Why"}, absent))
    return "".join(parts)


def _answers(title, columns, answers):
    """A folded table of rules without an answer, one row for each reason; `columns` are keys with their titles."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for answer in answers:
        groups.setdefault(tuple(answer[key] for key in columns), []).append(answer["rule"])
    if not groups:
        return ""
    rows = [[esc(listed(rules, 12)), *map(prose, words)] for words, rules in list(groups.items())[:60]]
    count = len({answer["rule"] for answer in answers})
    return folded(f"{title}: {counted(count, 'rule')}", table(title, ("Rule", *columns.values()), rows, "open"))


def _silent(document):
    """The rules that could judge and found nothing."""
    spoke = {answer["rule"] for key in ("findings", "unknown") for answer in document.get(key) or []}
    return [name for name in rules_of(document) if name not in spoke]
