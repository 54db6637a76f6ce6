"""The losses of single steps, from the running means that `fit` logs.

Oracle: the losses from which the means are made, by Keras's formula: Σ nᵢ·Lᵢ / Σ nᵢ over batches of nᵢ samples.
Tolerance: float64's rounding.
"""

import keras
import numpy as np
import pytest

from keras_lecture.callbacks import Doctor
from keras_lecture.callbacks._doctor.steps import Losses

LOSSES = np.random.default_rng(0).uniform(1, 2, 14)


def noted(sizes):
    losses = Losses()
    for step in range(len(sizes)):
        mean = np.average(LOSSES[: step + 1], weights=sizes[: step + 1])
        losses.note(step + 1, {"loss": mean})
    return losses


@pytest.mark.once
def test_a_smaller_last_batch_counts_by_its_samples():
    """The last step of each epoch had a loss that no batch had: eleven rows counted as thirty-two."""
    found = noted([32] * 13 + [11]).finish(32, 427)
    assert [step for step, _ in found] == list(range(1, 15))
    np.testing.assert_allclose([loss for _, loss in found], LOSSES, rtol=1e-12)


@pytest.mark.once
def test_batches_of_unknown_size_lose_their_last_one():
    found = noted([32] * 13 + [11]).finish()
    np.testing.assert_allclose([loss for _, loss in found], LOSSES[:13], rtol=1e-12)
    assert len(noted([32]).finish()) == 1


def test_the_record_has_the_loss_of_each_batch():
    """Oracle: the loss of each batch, of a model that does not learn."""
    x = np.random.default_rng(1).normal(size=(40, 3)).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    doctor = Doctor(verbose=0)
    model.fit(x, x[:, :1], batch_size=16, shuffle=False, verbose=0, callbacks=[doctor])
    errors = (model.predict(x, verbose=0) - x[:, :1])[:, 0] ** 2
    expected = [errors[part].mean() for part in (slice(0, 16), slice(16, 32), slice(32, 40))]
    np.testing.assert_allclose(doctor.record["losses"]["values"], expected, rtol=1e-5)
