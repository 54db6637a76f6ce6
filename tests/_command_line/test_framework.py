"""The framework that the program selects: what was asked for, what is configured, what is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.harness import BACKEND

from keras_lecture._command_line import framework, start
from keras_lecture._command_line.endings import Ended

ROOT = Path(__file__).resolve().parents[2]
# Read by Python at its start: hides modules as if they were not installed.
HIDING = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
hidden = {"tensorflow", "jax", "matplotlib"}
PathFinder.find_spec = classmethod(lambda cls, name, *more: None if name in hidden else find(name, *more))
"""


@pytest.mark.parametrize(
    ("asked", "configured", "installed", "name", "note"),
    [
        ("jax", "torch", ["jax", "torch"], "jax", None),
        (" JAX ", None, ["jax"], "jax", None),
        (None, "torch", ["jax", "torch"], "torch", None),
        ("", None, ["jax", "tensorflow"], "tensorflow", None),
        (None, None, ["jax", "torch"], "jax", "tensorflow is not installed: running on jax"),
        (None, "tensorflow", ["torch"], "torch", "tensorflow is not installed: running on torch"),
        (None, "numpy", ["tensorflow"], "tensorflow", "numpy cannot train: running on tensorflow"),
    ],
)
def test_the_variable_precedes_the_configuration_and_both_what_is_installed(asked, configured, installed, name, note):
    """L15: with JAX or PyTorch alone the program ended in "No module named 'tensorflow'"."""
    selected, said = framework.selected(asked, configured, installed)
    assert selected == name
    assert said is None if note is None else said.startswith(note)


@pytest.mark.parametrize(
    ("asked", "installed", "message"),
    [
        ("numpy", ["jax"], "must be one of 'jax', 'tensorflow', 'torch'. Received: KERAS_BACKEND='numpy'."),
        ("pytorch", ["jax"], "Did you mean 'torch'?"),
        ("torch", ["jax", "tensorflow"], "torch is not installed, only jax and tensorflow"),
        (None, [], "no framework is installed"),
    ],
)
def test_a_framework_that_cannot_be_had_is_refused(asked, installed, message):
    with pytest.raises(Ended) as refused:
        framework.selected(asked, None, installed)
    assert refused.value.code == 2 and message in str(refused.value)


def test_the_configuration_is_read_where_keras_reads_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(framework, "_is_installed", lambda name: name != "tensorflow")
    expected = {'{"backend": "torch"}': "torch", "{}": "jax", "[": "jax", "[1]": "jax"}
    for text, name in expected.items():
        (tmp_path / "keras.json").write_text(text)
        os.environ.pop("KERAS_BACKEND", None)
        framework.select()
        assert os.environ["KERAS_BACKEND"] == name


@pytest.mark.parametrize(
    ("arguments", "original", "running"),
    [
        (["-m", "train"], ["python", "-m", "keras_lecture", "train"], True),
        (["-m"], ["python", "-mkeras_lecture"], True),
        (["-m", "keras_lecture"], ["python", "-m", "other", "keras_lecture"], False),
        (["/usr/bin/keras-lecture", "train"], ["python", "/usr/bin/keras-lecture", "train"], True),
        (["script.py"], ["python", "script.py"], False),
        ([""], ["python"], False),
    ],
)
def test_only_the_program_itself_leaves_the_import_of_keras_for_later(arguments, original, running, monkeypatch):
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(sys, "orig_argv", original)
    assert start.is_running() is running


if BACKEND == "torch":  # A process takes as long as all other tests here, and adds the same on every backend.

    def test_with_one_framework_and_no_matplotlib_it_trains_even_if_nobody_reads(tmp_path):
        """The configuration names TensorFlow, which is not there; the standard output is a closed pipe."""
        folder = tmp_path / "with space, ümlaut"
        (tmp_path / "sitecustomize.py").write_text(HIDING)
        (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')
        paths = os.pathsep.join([str(tmp_path), str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": paths, "KERAS_HOME": str(tmp_path)}
        environment.pop("KERAS_BACKEND")
        words = ["train", "--dataset", "wine", "--model", "mlp", "units=()", "--epochs", "1", "--out", str(folder)]
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "keras_lecture", *words],
            env=environment,
            stdout=writing,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=tmp_path,
        )
        os.close(writing)
        first, *_, last = done.stderr.splitlines()
        assert done.returncode == 0, done.stderr
        assert first.startswith("keras-lecture: tensorflow is not installed: running on torch")
        assert last.startswith("keras-lecture: no pictures: ") and "pip install matplotlib" in last
        assert [path.name for path in folder.iterdir()] == ["record.json"]

    def test_an_unknown_framework_is_answered_in_one_line():
        """Keras's own answer is a traceback, and comes before any line of the program runs."""
        done = subprocess.run(
            [sys.executable, "-m", "keras_lecture", "train"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "numpy"},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("keras-lecture: `KERAS_BACKEND` must be one of 'jax', 'tensorflow', 'torch'.")
