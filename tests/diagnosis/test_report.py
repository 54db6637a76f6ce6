"""`report`: of a doctor, a record, a document and a file; what it writes and what it refuses."""

import json

import keras
import numpy as np
import pytest

from keras_lecture.callbacks import Doctor
from keras_lecture.diagnosis import report
from keras_lecture.diagnosis._record.record import read


@pytest.fixture(scope="module")
def doctor():
    """After two epochs of a model whose last activation contradicts its loss."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, "relu", name="a>b"), keras.layers.Dense(1)])
    model.compile("adam", "binary_crossentropy", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(64, 2))
    doctor = Doctor(verbose=0)
    model.fit(x, x[:, 0] > 0, epochs=2, verbose=0, callbacks=[doctor])
    return doctor


def test_every_form_of_a_run_gives_the_same_summary(doctor, tmp_path):
    doctor.save(tmp_path / "run.json")
    first = report(doctor)
    assert (first["status"], first["exit_code"], first["steps"], first["epochs"]) == ("high", 5, 4, 2)
    assert first["findings"][0]["rule"] == "output-loss-mismatch"
    assert report(doctor.document()) == report(tmp_path / "run.json") == report(str(tmp_path / "run.json")) == first
    judged = report(doctor.record)
    assert (judged["status"], judged["findings"][0]["rule"]) == ("high", "output-loss-mismatch")


def test_the_saved_file_is_the_document(doctor, tmp_path):
    doctor.save(tmp_path / "run.json")
    assert read(tmp_path / "run.json") == doctor.document() == json.loads(json.dumps(doctor.document()))
    assert {"findings", "unknown", "actions", "probes"} <= set(doctor.document())


def test_the_page_of_a_doctor(doctor, tmp_path):
    assert doctor.report(tmp_path / "run.html") == report(doctor)
    written = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert "This run does not work" in written and "Two runs" not in written
    assert "a&gt;b" in written and "a>b" not in written
    doctor.report(tmp_path / "run.html", compare=doctor)
    assert "The runs do not part" in (tmp_path / "run.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]


def test_a_notebook_shows_the_verdict_and_before_a_fit_that_there_is_none(doctor):
    assert "This run does not work" in doctor._repr_html_() and "output-loss-mismatch" in doctor._repr_html_()
    assert "Nothing was judged: the doctor has not seen a <code>fit</code> yet." in Doctor()._repr_html_()
    assert report(Doctor())["exit_code"] == 6


def test_rules_that_were_not_asked_are_not_counted(doctor):
    document = doctor.document() | {"findings": [], "unknown": [], "rules": ["overfit"]}
    assert "1 of 1 rules could judge" in report(document)["verdict"]


def test_what_is_no_run_is_refused(doctor, tmp_path):
    (tmp_path / "text.json").write_text("no JSON")
    (tmp_path / "other.json").write_text('{"schema": 9}')
    with pytest.raises(TypeError, match="report: `run` must be a `Doctor`"):
        report(3)
    with pytest.raises(ValueError, match="report: `run` must be a record of schema 1"):
        report({})
    with pytest.raises(ValueError, match="report: `compare` must be the path of a JSON file"):
        report(doctor, compare=tmp_path / "text.json")
    with pytest.raises(ValueError, match="is no record of schema 1"):
        report(tmp_path / "other.json")
    with pytest.raises(FileNotFoundError):
        report(tmp_path / "absent.json")
    with pytest.raises(ValueError, match="report: `since` must be"):
        report(doctor, since=-1)
