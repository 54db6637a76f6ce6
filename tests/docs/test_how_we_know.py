"""The commands that repeat our claims exist, and the numbers to expect are those of the measurements."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/how_we_know.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (.+) \|$", PAGE, re.M)


def test_every_promise_has_a_command_and_its_limits():
    promises = PAGE.split("\n## ")[1:]
    assert len(promises) == 4
    for promise in promises:
        assert re.search(r"^\| `", promise, re.M) and "\nLimits: " in promise, promise.splitlines()[0]


@pytest.mark.parametrize("command", [command for command, _, _ in ROWS])
def test_the_command_exists(command):
    if command.startswith("make "):
        assert re.search(rf"^{command.removeprefix('make ')}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        return
    words = command.split()
    files = [word for word in words if word.startswith("tests/")]
    assert files and all((ROOT / file).exists() for file in files)
    if "-k" in words:
        chosen = words[words.index("-k") + 1]
        assert re.search(rf"^def test_\w*{chosen}", (ROOT / files[0]).read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize(("command", "page"), [("fit_cnn.py", "speed.md"), ("optimizers.py", "speed.md")])
def test_the_numbers_to_expect_are_those_of_the_page(command, page):
    (expected,) = [text for shown, _, text in ROWS if command in shown]
    numbers = re.findall(r"\d\.\d+", expected)
    assert numbers
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert all(re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", text) for number in numbers), numbers
