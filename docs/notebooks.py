"""Notebooks of the guide and the gallery: their first cell, and Markdown in place of what only Sphinx reads."""

import json
import re

# Colab brings the frameworks and an older Keras. The backend must be chosen before Keras is imported.
FIRST_CELL = """\
# Colab needs this line once. Until the first release, give it the wheel that `make dist` builds.
%pip install --quiet "keras-lecture[examples]"

import os

os.environ["KERAS_BACKEND"] = "jax"  # or "torch" or "tensorflow": before Keras is imported"""

TABLE = re.compile(r"^\.\. list-table::\n(?: +:.*\n)*\n((?: +.*\n|\n(?= ))*)", re.MULTILINE)


def write(folder):
    """Rewrites the text cells of all notebooks in the folder as plain Markdown."""
    for file in sorted(folder.glob("*.ipynb")):
        notebook = json.loads(file.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = [markdown("".join(cell["source"]))]
        file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")


def markdown(text):
    """The text with tables as Markdown, and with the words of a link to another page in place of the link."""
    text = re.sub(r":[a-z:]+:`([^`<]*?)\s*<[^`>]*>`", r"*\1*", text)
    text = TABLE.sub(lambda match: table(match[1]), text)
    # Not the three backticks around a block of code.
    return re.sub(r"(?<!`)``(?!`)([^`]+)``(?!`)", r"`\1`", text)


def table(text):
    """A Markdown table from the rows of a `list-table`, the first of which is the header."""
    rows = re.split(r"^ +\* - ", text, flags=re.MULTILINE)[1:]
    cells = [[" ".join(cell.split()) for cell in re.split(r"^ +- ", row, flags=re.MULTILINE)] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]]) + "\n"
