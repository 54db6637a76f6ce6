"""Parts of a page that several sections use."""

from collections.abc import Iterable, Sequence

from keras_lecture.diagnosis._report.text import esc

# A mark beside each word, because colors alone cannot be told apart by all readers.
_MARKS = {"high": "▲", "medium": "◆", "low": "●", "healthy": "✓", "unjudged": "?"}


# Of statuses; "healthy" means no more than that no rule found a serious fault.
_WORDS = {"healthy": "no serious fault", "unjudged": "not judged"}


def badge(severity: str) -> str:
    """A severity or a status as a word with a mark."""
    style, word = "low" if severity == "unjudged" else severity, _WORDS.get(severity, severity)
    return f'<span class="badge t-{style}"><span aria-hidden="true">{_MARKS[severity]}</span> {word}</span>'


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], style: str = "plain") -> str:
    """A table of HTML whose first column has the names of the rows; it scrolls by itself in a narrow window."""
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    lines = (
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>' for name, *cells in rows
    )
    return (
        f'<div class="wide" role="region" aria-label="{esc(caption)}" tabindex="0"><table class="{style}">'
        f"<caption>{esc(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def folded(title: str, content: str) -> str:
    """A part that the reader unfolds."""
    return f"<details><summary>{title}</summary>{content}</details>"
