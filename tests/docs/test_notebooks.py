"""The notebooks of the guide and the gallery: valid, begin with the install line, hold the script's code, and run."""

import json
import os
import re
import sys
from pathlib import Path

import keras
import matplotlib
import pytest
from sphinx_gallery import notebook as gallery
from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import notebooks  # noqa: E402

sys.path.remove(str(ROOT / "docs"))

SCRIPTS = sorted([*(ROOT / "guide").glob("*.py"), *(ROOT / "examples").glob("*.py")])


def written(script, folder):
    """The notebook of a script, made as the documentation's build makes it."""
    _, blocks = split_code_and_text_blocks(script)
    options = {**DEFAULT_GALLERY_CONF, "first_notebook_cell": notebooks.FIRST_CELL}
    file = folder / f"{script.stem}.ipynb"
    gallery.save_notebook(gallery.jupyter_notebook(blocks, options, folder), file)
    notebooks.write(folder)
    return json.loads(file.read_text(encoding="utf-8"))


def codes(notebook):
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_notebook_is_valid_and_begins_with_the_install_line(script, tmp_path):
    """Oracle of the form: the required keys of nbformat 4; of the code: the script, statement by statement."""
    notebook = written(script, tmp_path)
    assert notebook["nbformat"] == 4 and "kernelspec" in notebook["metadata"]
    for cell in notebook["cells"]:
        needed = {"cell_type", "metadata", "source"} | (
            {"outputs", "execution_count"} if cell["cell_type"] == "code" else set()
        )
        assert set(cell) == needed
    install, *rest = codes(notebook)
    assert install.count('%pip install --quiet "keras-lecture[examples]"') == 1
    assert 'os.environ["KERAS_BACKEND"]' in install
    code = "\n".join(line for line in script.read_text("utf-8").split('"""', 2)[2].splitlines() if line[:1] != "#")
    assert "".join("".join(rest).split()) == "".join(code.split())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_text_of_a_notebook_is_markdown(script, tmp_path):
    """No roles, directives or double backticks, which a notebook shows as they are written; fences are in pairs."""
    for cell in written(script, tmp_path)["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            assert not re.search(r"^\.\. |:\w+:`|(?<!`)``(?!`)|^ +\* - ", text, re.MULTILINE), text
            assert len(re.findall(r"^```", text, re.MULTILINE)) % 2 == 0, text


def test_a_table_becomes_markdown():
    text = (
        ".. list-table::\n   :header-rows: 1\n\n   * - a\n     - b\n   * - ``c``\n     - :doc:`d\n       e </f>`\n\nend"
    )
    assert notebooks.markdown(text) == "| a | b |\n|---|---|\n| `c` | *d e* |\n\nend"


def test_the_cells_of_a_notebook_run(tmp_path, monkeypatch, capsys):
    """Cell by cell in one namespace, as Jupyter does; the install line is for Colab."""
    monkeypatch.setattr(os, "environ", {**os.environ, "MPLBACKEND": matplotlib.get_backend()})
    known = {"__name__": "__main__"}
    for code in codes(written(ROOT / "guide" / "01_install.py", tmp_path)):
        lines = ["" if line.startswith("%") else line for line in code.splitlines()]
        exec(compile("\n".join(lines), "<cell>", "exec"), known)
    assert f"with {keras.backend.backend()}" in capsys.readouterr().out
