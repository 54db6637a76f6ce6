"""Draws a picture for the gallery's entries that have none: the last lines that the script prints, or its code."""

import re
from pathlib import Path

from matplotlib.figure import Figure

LINES, COLUMNS = 11, 44
OUTPUT = re.compile(r"^ \.\. code-block:: none\n\n((?:    .*\n|\n)+)", re.MULTILINE)


def draw(folder):
    """Replaces the placeholders in a gallery by pictures of what the scripts print."""
    for script in sorted(Path(folder).glob("*.py")):
        written = script.with_suffix(".rst")
        # The folder may hold more: files for download, and what an interrupted build has left.
        if not written.exists():
            continue
        code, page = script.read_text(encoding="utf-8"), written.read_text(encoding="utf-8")
        # A script with a figure, or with a chosen picture, keeps it.
        if "image-sg::" not in page and "sphinx_gallery_thumbnail" not in code:
            picture = script.parent / f"images/thumb/sphx_glr_{script.stem}_thumb.png"
            save(printed(page) or last(code.splitlines()), picture)


def printed(page):
    """The last lines of output on a page of the gallery."""
    return last(line[4:] for block in OUTPUT.findall(page) for line in block.splitlines())


def last(lines):
    kept = [line.rstrip() for line in lines if line.strip() and not line.startswith("#")][-LINES:]
    return [line[:COLUMNS] + "…" * (len(line) > COLUMNS) for line in kept]


def save(lines, path):
    """Draws the lines as in a dark terminal, which is legible on a light and on a dark page."""
    figure = Figure(figsize=(4, 2.8), dpi=100, facecolor="#1c2230")
    style = {"color": "#e6edf3", "family": "monospace", "fontsize": 9.5, "va": "top", "linespacing": 1.6}
    # A dollar sign is no formula here.
    figure.text(0.04, 0.93, "\n".join(lines), parse_math=False, **style)
    figure.savefig(path, facecolor=figure.get_facecolor())
