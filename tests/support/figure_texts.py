"""The numbers that the page of a figure shows, evaluated on data."""

import tomllib
from pathlib import Path

TEXTS = Path(__file__).resolve().parents[2] / "docs" / "figures"


def shown(name, data):
    """`{what: (the slide's number, ours)}` of a figure's page, as printed there."""
    rows = tomllib.loads((TEXTS / f"{name}.toml").read_text(encoding="utf-8"))["numbers"]
    return {row["what"]: (row["slide"], format(eval(row["ours"], {"data": data}), row["format"])) for row in rows}
