"""`keras-lecture train`, called in this process: files, output and exit codes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from support.command import run
from support.harness import BACKEND

from keras_lecture import data
from keras_lecture._command_line import terminal

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["train", "--dataset", "wine", "--model", "mlp", "units=8,", "--batch-size", "64"]


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    """Two epochs of a small perceptron: the output folder and standard output."""
    folder = tmp_path_factory.mktemp("wine")
    code, out, _ = run(*SMALL, "--epochs", 2, "--out", folder, "--json", "--save")
    assert code == 0
    return folder, out


def test_json_option_prints_only_the_record(wine):
    folder, out = wine
    record = json.loads(out)
    assert record == json.loads((folder / "record.json").read_text())
    assert record["arguments"]["model"] == ["mlp", "units=8,"]
    assert (record["arguments"]["epochs"], record["arguments"]["seed"]) == (2, 0)
    assert record["parameters"] == 13 * 8 + 8 + 8 * 3 + 3
    assert record["seconds"] > 0


def test_history_and_results_of_the_record_agree(wine):
    record = json.loads(wine[1])
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "gradient_norm"):
        assert len(record["history"][name]) == 2
    samples = {part: values["samples"] for part, values in record["results"].items()}
    assert list(samples) == ["training", "validation", "test"] and sum(samples.values()) == 178
    # The weights of the last epoch are evaluated.
    assert record["results"]["validation"]["loss"] == pytest.approx(record["history"]["val_loss"][-1], rel=1e-5)
    matrix = np.array(record["confusion"])
    assert matrix.shape == (3, 3) and matrix.sum() == samples["test"]
    assert np.trace(matrix) / matrix.sum() == pytest.approx(record["results"]["test"]["accuracy"], abs=1e-6)


def test_figures_and_model_are_in_the_folder(wine):
    folder, out = wine
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion.png",
        "curves.png",
        "model.keras",
        "record.json",
    ]
    for picture in folder.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
    model = keras.saving.load_model(folder / "model.keras")
    x, y = data.load("wine")
    accuracy = np.mean(np.argmax(model.predict(x, verbose=0), axis=-1) == y)
    parts = json.loads(out)["results"].values()
    assert accuracy == pytest.approx(sum(part["accuracy"] * part["samples"] for part in parts) / len(y), abs=1e-6)


def test_seed_repeats_a_run_and_resume_continues_it(wine, tmp_path):
    """One epoch, a second epoch from its state, and a restart of the finished run give the results of the fixture."""
    whole = json.loads(wine[1])
    for epochs in (1, 2, 2):
        code, out, _ = run(*SMALL, "--epochs", epochs, "--out", tmp_path, "--json", "--resume")
        assert code == 0
        keras.utils.clear_session()
    resumed = json.loads(out)
    assert resumed["history"] == whole["history"]
    assert resumed["results"] == whole["results"]


def test_prints_only_the_table_and_the_files(tmp_path):
    words = ["train", "--dataset", "diabetes", "--model", "mlp", "units=()", "--epochs", 1, "--out", tmp_path]
    code, out, err = run(*words, "--average", "lookahead", "--schedule", "warm_restarts", "--warmup", 0.5)
    assert code == 0, err
    lines = [line.split() for line in out.splitlines() if line.strip(" ─")]
    assert lines[0] == ["samples", "loss"]
    assert [line[0] for line in lines[1:4]] == ["training", "validation", "test"]
    assert out.splitlines()[-3].startswith("11 parameters, 1 epoch in ")
    assert out.splitlines()[-2:] == [str(tmp_path / "record.json"), str(tmp_path / "curves.png")]
    assert "epoch 1/1" in err


def test_files_of_an_earlier_run_are_reported(tmp_path):
    """An old figure or model next to a new record could be mistaken for a result of the new run."""
    (tmp_path / "confusion.png").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    words = ["train", "--dataset", "diabetes", "--model", "mlp", "units=()", "--epochs", 1, "--out", tmp_path]
    code, _, err = run(*words, "--batch-size", 300)
    assert code == 0
    assert err.splitlines()[1:] == [f"keras-lecture: {tmp_path / 'confusion.png'} is from an earlier run"]


def test_margin_loss_trains_one_logit_for_two_classes(tmp_path):
    words = ["--dataset", "breast_cancer", "--model", "mlp", "units=()", "--loss", "logistic", "--epochs", 2]
    code, out, _ = run("train", *words, "--learning-rate", 0.05, "--batch-size", 64, "--out", tmp_path, "--json")
    record = json.loads(out)
    assert (code, record["parameters"]) == (0, 31)
    assert record["results"]["test"]["accuracy"] > 0.9
    assert record["classes"] == ["malignant", "benign"]
    assert np.shape(record["confusion"]) == (2, 2)


def test_optimizer_that_evaluates_the_loss_is_bound(tmp_path):
    words = ["train", "--dataset", "wine", "--model", "mlp", "units=()", "--epochs", 2, "--batch-size", 107]
    code, out, err = run(*words, "--optimizer", "lbfgs", "iterations=2", "--out", tmp_path, "--json")
    assert code == 0, err
    first, second = json.loads(out)["history"]["loss"]
    assert second < first


def test_diverged_training_has_its_own_exit_code_and_a_record(tmp_path):
    words = [*SMALL, "--optimizer", "sgd", "--learning-rate", 1e30, "--epochs", 3, "--out", tmp_path, "--json"]
    code, out, err = run(*words)
    assert code == 3
    assert re.match(r"keras-lecture: Epoch \d, batch \d: .* not finite.* lower the learning rate", err.splitlines()[-1])
    assert json.loads(out)["history"]["loss"] == json.loads((tmp_path / "record.json").read_text())["history"]["loss"]


def test_skipped_steps_do_not_end_the_training(tmp_path):
    words = [*SMALL, "--optimizer", "sgd", "--learning-rate", 1e30, "--epochs", 3, "--out", tmp_path]
    code, _, err = run(*words, "--clip", "global_norm=1", "on_nonfinite=skip")
    assert len(json.loads((tmp_path / "record.json").read_text())["history"]["loss"]) == 3
    assert code == 3 and "the loss is not finite" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: command"),
        (["trian"], "invalid choice: 'trian' (choose from"),
        (
            ["train", "--epoch", "3"],
            "unrecognized arguments: --epoch 3. Did you mean '--epochs'? (`keras-lecture train --help`",
        ),
        (["train", "--epochs", "0"], "`--epochs` must be a whole number in [1, ∞). Received: --epochs=0."),
        (["train", "--epochs", "1e3"], "argument --epochs: invalid int value: '1e3'"),
        (["train", "--batch-size", "0"], "`--batch-size` must be a whole number in [1, ∞)."),
        (["train", "--seed", "-1"], "`--seed` must be a whole number in [0, 4294967295]."),
        (["train", "--dataset", "digit"], "Received: --dataset='digit'. Did you mean 'digits'?"),
        (["train", "--dataset", "wine", "--dataset", "digits"], "argument --dataset: given twice"),
        (["train", "--dataset", "wine", "mlp"], "unrecognized arguments: mlp (`keras-lecture train --help`"),
        (["train", "--fractions", "0.5", "0.5", "0.5"], "fractions"),
        (["train", "--model", "net"], "`--model` must be one of 'alexnet', 'all_conv'"),
        (["train", "--model", "mlp", "units=3,", "units=4,"], "--model mlp: `units` must be given once."),
        (["train", "--optimizer", "adm"], "Did you mean 'adam'?"),
        (["train", "--optimizer", "adam", "beta_3=1"], "beta_3"),
        (["train", "--optimizer", "adam", "clipnorm=x"], "--optimizer adam: `clipnorm` must be a number in (0, ∞)."),
        (["train", "--optimizer", "adam", "use_ema=maybe"], "--optimizer adam: `use_ema` must be True or False."),
        (
            ["train", "--optimizer", "adam", "gradient_accumulation_steps=2.5"],
            "`gradient_accumulation_steps` must be a whole number in [2, ∞).",
        ),
        (["train", "--optimizer", "adam", "learning_rate=1"], "--optimizer adam: `argument` must be one of beta_1"),
        (["train", "--learning-rate", "0"], "`--learning-rate` must be in (0, ∞)."),
        (["train", "--learning-rate", "nan"], "`--learning-rate` must be in (0, ∞)."),
        (
            ["train", "--loss", "softmax_cross_entropy", "reduction=none"],
            "`reduction` must be one that returns a single",
        ),
        (
            ["train", "--loss", "l2"],
            "`--loss` must be a classification loss. Received: --loss='l2'.",
        ),
        (["train", "--loss", "logistic"], "softmax_cross_entropy or multiclass_hinge"),
        (["train", "--dataset", "wine", "--augment", "random_affine"], "RandomAffine: `inputs` must be an image"),
        (["train", "--dataset", "wine", "--augment", "pca_color"], "PCAColor: `data` must be batches of images."),
        (["train", "--augment", "random_affine", "data_format=channels_first"], "Received: argument='data_format'."),
        (
            ["train", "--augment", "random_crop_flip", "height=9", "width=6"],
            "keras-lecture: RandomCropFlip: `height` must be at most 8, that of the image. Received: height=9.",
        ),
        (["train", "--optimizer", "armijo", "--warmup", "1"], "`--warmup` must be left out with --optimizer armijo."),
        (
            ["train", "--optimizer", "lbfgs", "--average", "lookahead"],
            "`--average` must be left out with --optimizer lbf",
        ),
        (
            ["train", "--average", "stochastic_weight_average", "start=3", "--epochs", "2"],
            "--average: `start` must be at most 2, the number of epochs.",
        ),
        (["train", "--clip"], "GradientClipping: `value` must be a number. Received: value=None. Give exactly one of"),
        (["find-lr", "--lowest", "1", "--highest", "0.1"], "`--highest` must be in (1.0, ∞). Received: --highest=0.1."),
        (["find-lr", "--steps", "1"], "`--steps` must be a whole number in [2, ∞)."),
        (["find-lr", "--smoothing", "1"], "`--smoothing` must be in [0, 1)."),
        (["find-lr", "--learning-rate", "1"], "unrecognized arguments: --learning-rate 1"),
    ],
)
def test_usage_error_is_one_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("keras-lecture: ") and message in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--early-stopping", "monitor=val_acc"], "EarlyStopping: `monitor` must be "),
        (["--optimizer", "newton", "memory_limit=1e-9"], "Newton: the Hessian of 139 weights "),
    ],
)
def test_usage_error_during_training_is_one_line(words, message, tmp_path):
    code, _, err = run(*SMALL, "--epochs", 2, "--out", tmp_path, *words)
    assert code == 2
    assert message in err.splitlines()[-1] and "raceback" not in err


@pytest.mark.parametrize("below", ["", "folder"])
def test_folder_that_cannot_be_written_is_reported_before_training(below, tmp_path):
    """L15: `--out` with the name of a file ended with "[Errno 17]" and the wrong exit code."""
    (tmp_path / "file").write_text("here")
    code, out, err = run(*SMALL, "--out", tmp_path / "file" / below)
    assert (code, out) == (1, "")
    assert err.startswith(f"keras-lecture: cannot write to the folder {tmp_path / 'file' / below}: ")
    assert err.endswith(" Choose another with --out.\n") and len(err.splitlines()) == 1


def test_interrupted_run_resumes_with_the_same_options_only(tmp_path, monkeypatch):
    """Another seed gives another split, so the test part would contain training samples."""
    words = [*SMALL, "--epochs", 2, "--out", tmp_path, "--resume"]

    def interrupt(bar, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr(terminal.ProgressBar, "on_epoch_begin", interrupt)
        code, out, err = run(*words)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "keras-lecture: interrupted: run the same command again to continue"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    code, _, err = run(*words, "--seed", 1)
    assert code == 2
    assert "`--seed` must be 0, as in the run to be resumed. Received: --seed='1'. Remove " in err
    code, out, err = run(*words, "--json")
    assert code == 0, err
    assert len(json.loads(out)["history"]["loss"]) == 2


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["find-lr", "--help"]])
def test_help_lists_the_choices_and_the_exit_codes(words):
    code, out, _ = run(*words)
    assert code == 0
    assert "3    the training diverged" in out
    if words[0] != "--help":
        assert all(name in out for name in ("digits", "resnet", "nesterov", "softmax_cross_entropy", "random_affine"))


if BACKEND == "torch":  # A new process takes as long as all other tests here and is the same on every backend.

    def test_program_exits_with_the_code_and_without_a_traceback():
        done = subprocess.run(
            [sys.executable, "-m", "keras_lecture", "train", "--model", "net"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[-1].startswith("keras-lecture: `--model` must be one of ")
        assert "Traceback" not in done.stderr
