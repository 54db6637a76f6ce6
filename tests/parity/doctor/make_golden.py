"""Writes the record of a small run, which every backend must repeat.

KERAS_BACKEND=jax PYTHONPATH=tests python tests/parity/doctor/make_golden.py
"""

import json
from pathlib import Path

import keras
import numpy as np

from keras_lecture.callbacks import Doctor
from keras_lecture.diagnosis._record.record import plain

FILE = Path(__file__).with_name("record.json")


def record():
    """The record of three epochs without any random number: convolution, batch statistics, three classes."""
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.BatchNormalization(momentum=0.5, name="norm"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(8, activation="tanh", name="hidden"),
            keras.layers.Dense(3, activation="softmax", name="top"),
        ]
    )
    model.set_weights([np.abs(rng.normal(size=w.shape)) * 0.3 + 0.1 for w in model.get_weights()])
    for layer in ("conv", "hidden", "top"):
        kernel, bias = model.get_layer(layer).get_weights()
        model.get_layer(layer).set_weights([rng.normal(size=kernel.shape) * 0.3, bias * 0])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = rng.normal(size=(96, 6, 6, 2)).astype("float32"), rng.integers(0, 3, 96)
    doctor = Doctor(verbose=0)
    options = {"validation_data": (x[64:], y[64:]), "batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0}
    model.fit(x[:64], y[:64], callbacks=[doctor], **options)
    findings = [[finding.rule, finding.severity, finding.layer] for finding in doctor.findings]
    return json.loads(json.dumps(plain({**doctor.record, "findings": findings})))


if __name__ == "__main__":
    FILE.write_text(json.dumps(record()))
