"""Keras's own tests of the callbacks that ours take the place of, with ours in their place."""

import pytest
from keras.src.callbacks import early_stopping_test

from keras_lecture.callbacks import EarlyStopping


@pytest.fixture(autouse=True)
def _ours(monkeypatch):
    monkeypatch.setattr("keras.src.callbacks.EarlyStopping", EarlyStopping)


class TestEarlyStopping(early_stopping_test.EarlyStoppingTest):
    """All of them."""
