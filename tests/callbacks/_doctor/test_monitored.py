"""Callbacks with an explicit `mode` that is, or is not, the direction in which their number improves."""

import keras
import numpy as np
import pytest

from keras_lecture.callbacks._doctor.monitored import fact

CALLBACKS = keras.callbacks


def own_score(y_true, y_pred):
    return keras.ops.mean(y_pred)


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy", "mae", own_score])
    model.train_on_batch(np.zeros((2, 2)), np.zeros((2, 1)))
    return model


@pytest.mark.parametrize(
    ("expected", "callback"),
    [
        (False, lambda: CALLBACKS.ReduceLROnPlateau(monitor="val_loss", mode="max")),
        (False, lambda: CALLBACKS.EarlyStopping(monitor="val_accuracy", mode="min")),
        (False, lambda: CALLBACKS.ModelCheckpoint("best.keras", "output_loss", save_best_only=True, mode="max")),
        (False, lambda: CALLBACKS.EarlyStopping(monitor="mae", mode="max")),
        (True, lambda: CALLBACKS.ReduceLROnPlateau(monitor="loss", mode="min")),
        (True, lambda: CALLBACKS.EarlyStopping(monitor="accuracy", mode="max")),
        (None, lambda: CALLBACKS.ModelCheckpoint("each.keras", "val_loss", mode="max")),
        (None, lambda: CALLBACKS.EarlyStopping(monitor="val_loss")),
        (None, lambda: CALLBACKS.EarlyStopping(monitor="val_own_score", mode="max")),
        (None, CALLBACKS.History),
    ],
    ids=range(10),
)
def test_modes(model, expected, callback):
    found = fact([callback()], model)
    assert found["holds"] is expected, found
    assert (type(callback()).__name__ in found["detail"]) == (expected is False)
