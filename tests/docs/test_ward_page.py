"""The tables of the ward count what the runs say, on hand-written runs."""

import json

import pytest
from ward import ward_page

pytestmark = pytest.mark.once

SICK = {"run": ["torch", "breaks", "sick", 0], "held_out": False, "accepted": ["non-finite"], "steps": 40}
SICK |= {"findings": [["non-finite", "high", None, 0, 40, True, ""], ["zig-zag", "medium", None, 0, 40, True, ""]]}
SICK |= {"unknown": ["overfit"], "unseen": [], "error": None}
MISSED = SICK | {"run": ["torch", "hides", "sick", 0], "held_out": True, "findings": []}
HEALTHY = SICK | {"run": ["torch", "works", "healthy", 1], "accepted": [None], "unknown": []}
HEALTHY |= {"findings": [["overfit", "medium", None, 0, 40, True, ""]]}


def test_a_fault_is_named_at_the_first_probe_that_shows_it(tmp_path):
    """The finding says that the fault is there since step 0, but the loss is NaN, and seen, at step 20 of 40."""
    probes = [{"step": step, "epoch": 0, "layers": [], "train": None} for step in (0, 20, 40)]
    record = {"probes": probes, "losses": {"steps": [1, 20], "values": [1.0, "nan"]}, "epochs": [], "steps": []}
    (tmp_path / "breaks.sick.0.json").write_text(json.dumps(record))
    assert ward_page.named_at(SICK, tmp_path) == 0.5
    assert ward_page.named_at(MISSED, tmp_path) is None


def test_the_page_counts_names_alarms_and_unknown_answers(tmp_path):
    page = ward_page.page([SICK, MISSED, HEALTHY], tmp_path)
    assert "On PyTorch: 2 sick runs of 2 programs (seed 0); 1 other healthy runs of 1 programs (seed 1)." in page
    assert "| sick runs whose fault is named | 1 of 2 | 0 of 1 |" in page
    assert "| other medium or high findings per sick run | 0.50 | 0.00 |" in page
    assert "| healthy runs with a high finding | 0 of 1 | – |" in page
    assert "| healthy runs with a medium finding | 1 of 1 | – |" in page
    assert "| [non-finite](rules/non-finite.md) | 1 of 2 | – | zig-zag 1 |" in page
    assert "| [overfit](rules/overfit.md) | 0, 1, 0 | 67 % |" in page
    assert page.index("<!-- summary -->") < page.index("<!-- end of the summary -->") < page.index("## By fault")
