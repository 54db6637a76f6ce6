"""Prints the findings of a document, as a text or as JSON, and writes its page."""

import json
from pathlib import Path

from rich.console import Console

from keras_lecture import diagnosis
from keras_lecture._command_line.endings import FAILED, OWNER, Ended
from keras_lecture._command_line.record import plain
from keras_lecture._command_line.streams import out
from keras_lecture._core import checks
from keras_lecture.diagnosis._report.terminal import text


def add_output(parser, page: str):
    group = parser.add_argument_group("results")
    group.add_argument("--out", type=Path, metavar="FILE.html", help=f"write the report to this page ({page})")
    about = "print the summary as one line of JSON to standard output, and nothing else"
    group.add_argument("--json", action="store_true", help=about)
    return group


def check_page(path: Path | None):
    """Requires the name of a page, so that `--out` cannot replace a record."""
    if path is not None and (path.suffix.lower() not in (".html", ".htm") or path.is_dir()):
        checks.reject(OWNER, "--out", "the name of an .html file", str(path))


def tell(document: dict, page: Path | None, *, as_json: bool, compare: dict | None = None, since: int | None = None):
    """Prints the summary, writes the page, and returns the exit code of the document.

    The findings are printed first, so that a page that cannot be written does not hide them.
    """
    summary = diagnosis.report(document, compare=compare, since=since)
    if as_json:
        out(json.dumps(plain(summary), allow_nan=False))
    else:
        console = Console()
        out(text(summary, console.width, console.is_terminal and not console.no_color))
    if page is not None:
        try:
            diagnosis.report(document, page, compare=compare)
        except OSError as error:
            raise Ended(FAILED, f"cannot write {page}: {error.strerror}. Choose another with --out.") from error
        if not as_json:
            out(str(page))
    return summary["exit_code"]
