"""`keras-lecture train --doctor`: what the doctor saw, beside the record."""

import json

import keras
from support.command import run

from keras_lecture import diagnosis

SMALL = ["train", "--dataset", "wine", "--model", "mlp", "units=8,", "--batch-size", 64, "--doctor"]
FILES = {"record.json", "curves.png", "confusion.png", "doctor.json", "report.html"}


def test_writes_record_and_page_and_says_the_verdict(tmp_path):
    code, out, err = run(*SMALL, "--epochs", 1, "--out", tmp_path)
    assert code == 0, err
    assert {path.name for path in tmp_path.iterdir()} == FILES
    told = diagnosis.report(tmp_path / "doctor.json")
    assert f"doctor: {told['verdict']}" in out.splitlines()
    assert out.splitlines()[-2:] == [str(tmp_path / name) for name in ("doctor.json", "report.html")]
    assert told["status"] != "unjudged" and (told["steps"], told["epochs"]) == (2, 1)
    recorded = json.loads((tmp_path / "record.json").read_text())["doctor"]
    assert recorded == {"status": told["status"], "verdict": told["verdict"]}
    code, out, _ = run("report", tmp_path / "doctor.json", "--json", "--out", tmp_path / "report.html")
    assert code == json.loads(out)["exit_code"] == told["exit_code"]


def test_a_finding_does_not_change_the_exit_code_and_json_prints_the_record_alone(tmp_path):
    """A rate of 10 destroys the weights but keeps the loss finite."""
    words = [*SMALL, "--optimizer", "sgd", "--learning-rate", 10, "--epochs", 4, "--out", tmp_path, "--json"]
    code, out, err = run(*words)
    assert code == 0, err
    assert json.loads(out)["doctor"]["status"] in ("medium", "high")
    assert json.loads(out) == json.loads((tmp_path / "record.json").read_text())


def test_resume_continues_the_record_of_the_doctor(tmp_path):
    """Oracle: the document of the same run without interruption; a finished run that is started again changes none.

    Findings about the end of the shorter run, step 4, stay in the document, closed.
    """

    def document(epochs, name, *words):
        keras.utils.clear_session()
        code, _, err = run(*SMALL, "--epochs", epochs, "--out", tmp_path / name, *words)
        assert code == 0, err
        written = json.loads((tmp_path / name / "doctor.json").read_text())
        kept = [finding for finding in written["findings"] if finding["is_open"] or finding["first_step"] != 4]
        return written | {"findings": kept}

    whole = document(3, "whole")
    document(2, "resumed", "--resume")
    assert document(3, "resumed", "--resume") == whole
    assert document(3, "resumed", "--resume") == whole
    code, _, err = run(*SMALL[:-1], "--epochs", 4, "--out", tmp_path / "resumed", "--resume")
    assert code == 2
    assert "`--doctor` must be given, as in the run to be resumed. Received: --doctor='left out'." in err


def test_files_of_an_earlier_run_of_the_doctor_are_reported(tmp_path):
    (tmp_path / "doctor.json").write_text("old")
    code, _, err = run(*SMALL[:-1], "--epochs", 1, "--out", tmp_path)
    assert code == 0 and err.splitlines()[-1] == f"keras-lecture: {tmp_path / 'doctor.json'} is from an earlier run"
