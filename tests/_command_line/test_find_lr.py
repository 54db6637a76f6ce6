"""`keras-lecture find-lr`: the suggested learning rate, the figure and the record."""

import json

import pytest
from support.command import run

SMALL = ["find-lr", "--dataset", "wine", "--model", "mlp", "units=()", "--optimizer", "sgd"]


def test_writes_figure_and_record_with_suggestions_inside_the_range(tmp_path):
    code, out, _ = run(*SMALL, "--curvature", "--steps", 60, "--smoothing", 0.8, "--out", tmp_path, "--json")
    assert code == 0
    record = json.loads(out)
    assert record == json.loads((tmp_path / "record.json").read_text())
    sweep = record["sweep"]
    assert 0 < len(sweep["losses"]) == len(sweep["learning_rates"]) == len(sweep["smoothed"]) <= 60
    low, high = min(sweep["learning_rates"]), max(sweep["learning_rates"])
    assert low == pytest.approx(1e-7)
    assert all(low < rate < high for rate in record["suggestions"].values())
    assert (tmp_path / "learning_rate.png").read_bytes().startswith(b"\x89PNG")


def test_prints_the_learning_rate_to_train_with(tmp_path):
    code, out, _ = run(*SMALL, "--steps", 60, "--smoothing", 0.8, "--out", tmp_path)
    assert code == 0
    assert "valley" in out and "curvature" not in out
    (advice,) = [line for line in out.splitlines() if line.startswith("train with --learning-rate ")]
    valley = json.loads((tmp_path / "record.json").read_text())["suggestions"]["valley"]
    assert float(advice.split()[-1]) == float(f"{valley:.2g}")


def test_fails_with_a_message_if_the_loss_never_falls(tmp_path):
    rates = ["--lowest", 1e6, "--highest", 1e7, "--smoothing", 0.0, "--batch-size", 200]
    code, _, err = run(*SMALL, *rates, "--out", tmp_path)
    assert code == 1
    assert err.splitlines()[-1].startswith("keras-lecture: the loss never falls in the sweep")
