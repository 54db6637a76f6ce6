"""The text of a figure's page, `docs/figures/NAME.toml`, and its numbers, evaluated on data."""

import tomllib
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs/figures"
TEXTS = ("title", "deck", "claim", "formula", "see", "verdict")


def page(name):
    found = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    assert set(found) == {*TEXTS, "numbers"} and all(found[text].strip() for text in TEXTS)
    return found


def numbers(name, data):
    """`{what: our number as the page prints it}`."""
    rows = page(name)["numbers"]
    assert all(set(row) == {"what", "slide", "ours", "format"} for row in rows)
    return {row["what"]: format(eval(row["ours"], {"data": data}), row["format"]) for row in rows}
