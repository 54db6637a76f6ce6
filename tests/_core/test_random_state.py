"""The state of every global random generator that training uses can be restored."""

import random

import keras
import numpy as np
import pytest
from support.harness import BACKEND, numpy

from keras_lecture import _backend
from keras_lecture._core.random_state import random_state, set_random_state


def draws():
    # A dropout without a seed draws from the framework's generator on PyTorch.
    dropped = keras.ops.convert_to_numpy(keras.layers.Dropout(0.5)(np.ones(16, "float32"), training=True))
    unseeded = numpy(keras.random.uniform((4,)))
    return [random.random(), *np.random.random(3), *np.random.normal(size=3), *unseeded, *dropped]


@pytest.mark.parametrize("fresh", [True, False], ids=["before Keras's generator exists", "after"])
def test_a_restored_state_repeats_the_numbers(fresh):
    keras.utils.set_random_seed(1)
    if not fresh:
        draws()
    state = random_state()
    first, second = draws(), draws()
    set_random_state(state)
    assert draws() == first
    assert draws() == second != first


def test_keras_stores_its_global_seed_generator_where_we_read_it():
    """If this fails, Keras has moved its global seed generator: adapt `keras_lecture/_core/random_state.py`."""
    keras.utils.set_random_seed(1)
    assert random_state().keras is None
    keras.random.uniform((1,))
    generator, value = random_state().keras
    assert isinstance(generator, keras.random.SeedGenerator)
    np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(generator.state))


if BACKEND == "torch":  # The other frameworks have no global generator that Keras uses.

    def test_the_frameworks_own_generators_are_restored():
        import torch

        states = _backend.generators()
        first = torch.rand(4)
        _backend.set_generators(states)
        assert torch.equal(torch.rand(4), first)
