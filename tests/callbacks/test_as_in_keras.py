"""Keras's own tests of `EarlyStopping` and `ReduceLROnPlateau`, run on our replacements."""

import keras
import pytest
from keras.src.callbacks import early_stopping_test, reduce_lr_on_plateau_test

from keras_lecture.callbacks import EarlyStopping, ReduceLearningRate


class ReduceLROnPlateau(ReduceLearningRate):
    """Has the name that one of the tests expects in a message."""


@pytest.fixture(autouse=True)
def _ours(monkeypatch):
    monkeypatch.setattr("keras.src.callbacks.EarlyStopping", EarlyStopping)
    monkeypatch.setattr("keras.src.callbacks.ReduceLROnPlateau", ReduceLROnPlateau)
    # One of the tests changes this global setting.
    interactive = keras.config.is_interactive_logging_enabled()
    yield
    (keras.config.enable_interactive_logging if interactive else keras.config.disable_interactive_logging)()


class TestEarlyStopping(early_stopping_test.EarlyStoppingTest):
    """All of them."""


class TestReduceLearningRate(reduce_lr_on_plateau_test.ReduceLROnPlateauTest):
    """All but one: ours also reduces a schedule."""

    def test_throws_when_optimizer_has_schedule(self):
        with pytest.raises(AssertionError, match="TypeError not raised"):
            super().test_throws_when_optimizer_has_schedule()
