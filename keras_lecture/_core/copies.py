"""Copies of trained networks and of initializers."""

import copy
import tempfile
from typing import Any

import keras

from keras_lecture._core.assignment import assign_copy
from keras_lecture._core.weights import layers


def copied_model(model: keras.Model) -> keras.Model:
    """A clone of a functional or Sequential model with the values of the original.

    Keras's `clone_model` leaves out what a layer has learned by `adapt` and computes with outside of its variables:
    the constants of `Normalization`, and vocabularies.
    """
    clone = keras.models.clone_model(model)
    for new, old in zip(clone.variables, model.variables, strict=True):
        assign_copy(new, old)
    for new, old in zip(layers(clone), layers(model), strict=True):
        copy_adapted(new, old)
    return clone


def copy_adapted(new: keras.Layer, old: keras.Layer) -> None:
    """Gives a copy of a layer, whose variables have their values, what the layer keeps beside them."""
    if isinstance(new, keras.layers.Normalization):
        new.finalize_state()
    if not hasattr(old, "save_assets"):
        return
    store: dict[str, Any] = {}
    old.save_own_variables(store)
    new.load_own_variables(store)
    with tempfile.TemporaryDirectory() as folder:
        old.save_assets(folder)
        new.load_assets(folder)


def with_seed(initializer: Any, change: Any) -> Any:
    """The initializer, or a copy of it with the seed `change(seed)` if its seed is an integer.

    Without a config, which initializers of the user need for saving only. A `SeedGenerator` goes on by itself. The
    seed is first taken modulo 2³¹: the state of a `SeedGenerator` on PyTorch has no larger numbers.
    """
    seed = getattr(initializer, "seed", None)
    if not isinstance(initializer, keras.initializers.Initializer) or not isinstance(seed, int):
        return initializer
    other: Any = copy.copy(initializer)
    other.seed = change(seed % 2**31)
    return other
