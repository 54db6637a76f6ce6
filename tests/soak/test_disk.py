"""Every file that the library writes, on a full disk and on one that is read only: `make soak`, as root on Linux."""

import os
import subprocess

import keras
import numpy as np
import pytest

from keras_lecture import callbacks, diagnosis

SIZE = 512 * 1024
X = np.random.default_rng(0).normal(size=(16, 64)).astype("float32")


@pytest.fixture
def disk(tmp_path):
    """A folder on a file system of its own, with a name that is not ASCII."""
    folder = tmp_path / "kleine Platte, schön"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def model(**options):
    keras.utils.set_random_seed(0)
    built = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, name="line"), keras.layers.Dense(1)])
    built.compile(keras.optimizers.SGD(0.01, use_ema=True), "mse", **options)
    return built


def fit(*more, x=X):
    model().fit(x, X[:, :1], epochs=2, verbose=0, callbacks=list(more))


def doctor(folder):
    examiner = callbacks.Doctor(verbose=0)
    fit(examiner)
    return examiner


def broken(folder):
    """A batch with a NaN, so that the callback saves it."""
    x = X.copy()
    x[3, 2] = np.nan
    fit(callbacks.TerminateOnNonFinite(folder / "broken"), x=x)


WRITERS = {
    "ExactResume": lambda folder: fit(callbacks.ExactResume(folder / "run")),
    "AverageModelCheckpoint": lambda folder: fit(callbacks.AverageModelCheckpoint(folder / "average.keras")),
    "TerminateOnNonFinite": broken,
    "divergence.record": lambda folder: diagnosis.divergence.record(model(), X, X[:, :1], folder / "run.npz"),
    "Doctor.save": lambda folder: doctor(folder).save(folder / "doctor.json"),
    "report": lambda folder: diagnosis.report(doctor(folder), folder / "report.html"),
}


def contents(folder):
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("filler", "run.lock"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk(disk, name):
    """An error of the system; the files of before are whole and there is no other."""
    WRITERS[name](disk)
    before = contents(disk)
    assert before
    if name == "ExactResume":
        # A finished run would write nothing.
        for file in (disk / "run").glob("run-*.npz"):
            file.unlink()
        before = {}
    with open(disk / "filler", "wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(b"x" * 4096)
    with pytest.raises(OSError, match="No space|space left|write"):
        WRITERS[name](disk)
    assert contents(disk) == before
    os.remove(disk / "filler")
    WRITERS[name](disk)
    assert contents(disk)


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_is_read_only(disk, name):
    WRITERS[name](disk)
    before = contents(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(OSError, match="Read-only file system"):
        WRITERS[name](disk)
    assert contents(disk) == before
