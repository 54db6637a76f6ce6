"""The summary of a run as text for a terminal.

It needs the standard library alone, because `diagnosis` depends on keras and numpy only. Names from models are cleaned
of the characters that steer a terminal.
"""

import textwrap
import unicodedata
from collections.abc import Iterator
from typing import Any

from keras_lecture.diagnosis._report.summary import applies, counted, may_follow, percent
from keras_lecture.diagnosis._report.text import clean, listed, short

_COLORS = {"high": "31", "medium": "33", "low": "2", "healthy": "32", "unjudged": "33"}
_WORDS = {"high": "HIGH", "medium": "MEDIUM", "low": "low", "healthy": "NO SERIOUS FAULT", "unjudged": "NOT JUDGED"}
_NARROWEST = 20


def text(summary: dict[str, Any], width: int = 80, color: bool = False) -> str:
    """The verdict, each finding with its evidence and cure, the treatments, and how many rules could not tell."""
    width = max(width, _NARROWEST)
    status = summary["status"]
    lines = [_painted(_WORDS[status], status, color), *wrapped(summary["verdict"], width)]
    has_cause, told = status in ("high", "medium"), False
    for finding in summary["findings"]:
        is_effect = has_cause and may_follow(finding)
        if is_effect and not told:
            lines, told = [*lines, "", *wrapped("What may follow from it; look again when it is cured:", width)], True
        lines += ["", *_finding(finding, width, color, is_effect)]
    for action in summary["actions"]:
        undone = " (undone)" if action.get("undone") else ""
        change = (
            f" {short(action.get('before'))} → {short(action.get('after'))}" if action.get("after") is not None else ""
        )
        lines += ["", *wrapped(f"Treated at step {action['step']:,}{undone}: {action['text']}{change}", width, "  ")]
    lines += ["", *_open_questions(summary, width)]
    return "\n".join(lines).rstrip() + "\n"


def _finding(finding: dict[str, Any], width: int, color: bool, is_effect: bool) -> Iterator[str]:
    place = f" in {finding['layer']}" if finding["layer"] else ""
    first, last = (max(finding[name], 0) for name in ("first_step", "last_step"))
    when = f"steps {first:,} to {last:,}" if last > first else f"step {first:,}"
    when += "" if finding["is_open"] else ", closed"
    head = wrapped(f"{finding['rule']}{place} ({when}, {percent(finding['confidence'])} sure)", width - 8)
    yield f"{_painted(_WORDS[finding['severity']].ljust(7), finding['severity'], color)} {head[0]}"
    yield from (" " * 8 + line for line in head[1:])
    yield from wrapped(finding["cause"], width, "  ")
    for name, value in finding["evidence"].items():
        yield from wrapped(f"- {name}: {value}", width, "  ", "    ")
    if is_effect:
        return
    yield from wrapped(f"To do: {finding['cure']}", width, "  ")
    # Code is copied from the terminal: its lines stay whole.
    yield from ("    " + line for line in clean(finding["code"]).splitlines())


def _open_questions(summary, width):
    rules = {answer["rule"] for answer in summary["unknown"] if applies(answer)}
    if rules:
        yield from wrapped(f"{counted(len(rules), 'rule')} could not tell: {listed(sorted(rules), 6)}.", width)
    for sentence in summary["unseen"][:10]:
        yield from wrapped(f"Not measured: {sentence}", width)


def wrapped(sentence: str, width: int, indent: str = "", rest: str | None = None) -> list[str]:
    """Lines of at most `width` columns; wide characters of East Asian scripts count twice."""
    spaces = [indent, indent if rest is None else rest]
    sentence = " ".join(clean(sentence).split())
    if columns(sentence) == len(sentence):
        options = {"initial_indent": spaces[0], "subsequent_indent": spaces[1], "break_on_hyphens": False}
        return textwrap.wrap(sentence, width, **options) or [""]
    lines, line = [], ""
    for character in sentence:
        if columns(spaces[min(len(lines), 1)] + line + character) > width:
            head, space, tail = line.rpartition(" ")
            lines.append(head if space and head else line)
            line = tail if space and head else ""
        line += character
    return [spaces[min(index, 1)] + part.strip() for index, part in enumerate([*lines, line])]


def columns(line: str) -> int:
    """The number of columns of a line on a terminal."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in line)


def _painted(word, kind, color):
    return f"\x1b[{_COLORS[kind]};1m{word}\x1b[0m" if color else word
