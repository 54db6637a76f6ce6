"""Every global generator that training draws from can be put back."""

import random

import keras
import numpy as np
import pytest
from support.harness import numpy

from keras_lecture import _backend
from keras_lecture._core.random_state import random_state, set_random_state


def draws():
    # A dropout without a seed of its own draws on PyTorch from the framework's generator.
    dropped = keras.ops.convert_to_numpy(keras.layers.Dropout(0.5)(np.ones(16, "float32"), training=True))
    unseeded = numpy(keras.random.uniform((4,)))
    return [random.random(), *np.random.random(3), *np.random.normal(size=3), *unseeded, *dropped]


@pytest.mark.parametrize("fresh", [True, False], ids=["before Keras's generator exists", "after"])
def test_the_same_numbers_come_again(fresh):
    keras.utils.set_random_seed(1)
    if not fresh:
        draws()
    state = random_state()
    first, second = draws(), draws()
    set_random_state(state)
    assert draws() == first
    assert draws() == second != first


def test_keras_keeps_its_generator_where_we_look_for_it():
    """If this fails, Keras has moved its global seed generator: adapt `keras_lecture/random_state.py`."""
    keras.utils.set_random_seed(1)
    assert random_state().keras is None
    keras.random.uniform((1,))
    generator, value = random_state().keras
    assert isinstance(generator, keras.random.SeedGenerator)
    np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(generator.state))


def test_the_frameworks_own_generators_come_back():
    states = _backend.generators()
    _backend.set_generators(states)
    assert [np.asarray(a).tolist() for a in _backend.generators()] == [np.asarray(a).tolist() for a in states]
