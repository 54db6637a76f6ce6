"""The README is true: its code and commands work, its links lead somewhere, and its numbers are those of the pages."""

import math
import re
import tomllib
from pathlib import Path

import pytest
from support.public import public_objects

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GAINS = README.partition("## What you gain")[2].partition("\n## ")[0]


def test_ten_lines_run(tmp_path, monkeypatch):
    """The code as printed, with fewer epochs: gradients are in the logs, and the report and the saved state exist."""
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    names = {}
    exec(compile(code.replace("epochs=5", "epochs=2, verbose=0"), "README.md", "exec"), names)
    logs = names["model"].history.history
    assert all(math.isfinite(value) for value in logs["gradient_norm"])
    # A tenth would be chance.
    assert logs["val_accuracy"][-1] > 0.85
    assert "<html" in (tmp_path / "digits.html").read_text(encoding="utf-8")
    assert list((tmp_path / "runs/digits").iterdir())


def test_it_fits_on_one_screen():
    assert len(README.splitlines()) <= 95


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)", README))))
def test_links_lead_to_files(link):
    assert (ROOT / link).exists()


def test_commands_exist():
    lines = re.findall(r"^([\w -]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    targets = {target for line in lines for target in line.split()}
    assert set(re.findall(r"\bmake (\w[\w-]*)`", README)) <= targets
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (chosen,) = re.findall(r"pip install '\.\[([\w,]+)\]'", README)
    assert set(chosen.split(",")) <= set(extras)


def test_names_in_backticks_exist():
    """`optimizers.Lookahead`, `losses.MulticlassHinge`, …"""
    rooms = {name.split(".")[0] for name in public_objects()}
    named = re.findall(rf"(?<![\w.])((?:{'|'.join(rooms)})\.[A-Z]\w+)", README)
    assert len(named) > 8
    assert set(named) <= set(public_objects())


@pytest.mark.parametrize("row", GAINS.strip().splitlines()[2:7])
def test_numbers_are_those_of_the_cited_page(row):
    """A measurement that is repeated changes the page, and has to change the README with it."""
    (page,) = re.findall(r"\]\((docs/[^)]+)\)", row)
    text = (ROOT / page).read_text(encoding="utf-8")
    for included in re.findall(r"\{include\} (\S+)", text):
        text += ((ROOT / page).parent / included).read_text(encoding="utf-8")
    measured = re.findall(r"\d+(?:\.\d+)?", row.rpartition("|")[0].rpartition("|")[2].partition("([")[0])
    assert measured
    for number in measured:
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.]*\d)", text), f"{number} is not in {page}"
