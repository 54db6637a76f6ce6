"""Selection of the framework from the environment, Keras's configuration file and the installed packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.harness import BACKEND

from keras_lecture._command_line import framework, start
from keras_lecture._command_line.endings import Ended

ROOT = Path(__file__).resolve().parents[2]
# `sitecustomize.py`, which Python runs at startup: hides modules as if they were not installed.
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
def test_variable_comes_before_configuration_before_installed(asked, configured, installed, name, note):
    """L15: with only JAX or PyTorch installed, the program ended with "No module named 'tensorflow'"."""
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
def test_unavailable_framework_is_rejected(asked, installed, message):
    with pytest.raises(Ended) as rejected:
        framework.selected(asked, None, installed)
    assert rejected.value.code == 2 and message in str(rejected.value)


def test_configuration_is_read_from_the_folder_of_keras(tmp_path, monkeypatch):
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
def test_is_running_recognizes_the_program(arguments, original, running, monkeypatch):
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(sys, "orig_argv", original)
    assert start.is_running() is running


if BACKEND == "torch":  # A new process takes as long as all other tests here and is the same on every backend.

    def test_trains_with_one_framework_without_matplotlib_into_a_closed_pipe(tmp_path):
        """The configuration names TensorFlow, which is hidden; standard output is a closed pipe."""
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
        assert last.startswith("keras-lecture: no figures: ") and "pip install matplotlib" in last
        assert [path.name for path in folder.iterdir()] == ["record.json"]

    def test_unknown_framework_is_a_one_line_error():
        """Keras itself would fail with a traceback on import, before the program runs."""
        done = subprocess.run(
            [sys.executable, "-m", "keras_lecture", "train"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "numpy"},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("keras-lecture: `KERAS_BACKEND` must be one of 'jax', 'tensorflow', 'torch'.")
