"""The report of a run as one HTML page."""

import html
import os

from keras_lecture.diagnosis._report.document import Document
from keras_lecture.diagnosis._report.summary import verdict


def write_page(path: str | os.PathLike[str], document: Document, other: Document | None = None) -> None:
    """Writes the page; the file is replaced as a whole."""
    temporary = f"{os.fspath(path)}.part"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(page(document, other))
    os.replace(temporary, path)


def page(document: Document, other: Document | None = None) -> str:
    """The page of a document, or of two side by side."""
    return f"<!doctype html><title>Report</title><h1>{html.escape(verdict(document))}</h1>"
