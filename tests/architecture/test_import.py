"""`import keras_lecture` in a new process registers every class and imports no other backend."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.harness import BACKEND
from support.public import configurable_classes

ROOT = Path(__file__).resolve().parents[2]

REPORT = """
import json, sys
import keras
before = set(sys.modules)
import keras_lecture
added = set(sys.modules) - before
print(json.dumps({
    "backend": keras.backend.backend(),
    "frameworks": sorted({"jax", "tensorflow", "torch"} & added),
    "optional": sorted({"matplotlib", "sklearn", "scipy", "rich", "optax"} & added),
    "registered": sorted(n for n in keras.saving.get_custom_objects() if n.startswith("keras_lecture>")),
    "loss": float(keras_lecture.losses.SoftmaxCrossEntropy()([0], [[3.2, 5.1, -1.7]])),
}))
"""


def report(backend):
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", REPORT], env=environment, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# The process for NumPy is the same under every backend: it runs with PyTorch, where the suite is fastest.
@pytest.mark.parametrize("backend", [BACKEND, "numpy"] if BACKEND == "torch" else [BACKEND])
def test_import_registers_every_class_and_no_other_backend(backend):
    seen = report(backend)
    assert seen["backend"] == backend
    expected = {f"keras_lecture>{name}" for name in configurable_classes()}
    assert expected <= set(seen["registered"])
    # Keras itself imports TensorFlow or PyTorch if installed, for its data pipelines; we add none.
    assert seen["frameworks"] == []
    assert seen["optional"] == []
    assert round(seen["loss"], 2) == 2.04
