"""The config of every public class: a round trip through JSON without `custom_objects`, in safe mode."""

import inspect
import json

import keras
import pytest
from support.constructions import ARGUMENTS
from support.public import TAKING_A_PATH, configurable_classes, public_classes, public_functions

CLASSES = configurable_classes()
SERIALIZABLE = sorted(name for name, cls in CLASSES.items() if hasattr(cls, "get_config"))


def build(name):
    arguments = ARGUMENTS.get(name, {})
    return CLASSES[name](**(arguments() if callable(arguments) else arguments))


def test_every_class_has_a_config():
    assert sorted(CLASSES) == SERIALIZABLE


@pytest.mark.parametrize("name", SERIALIZABLE)
def test_round_trip_through_json(name):
    unit = build(name)
    stored = json.dumps(keras.saving.serialize_keras_object(unit))
    assert f"keras_lecture>{name}" in stored
    restored = keras.saving.deserialize_keras_object(json.loads(stored))
    assert type(restored) is type(unit)
    assert json.dumps(keras.saving.serialize_keras_object(restored)) == stored


@pytest.mark.parametrize("name", SERIALIZABLE)
def test_from_config_takes_nothing_out_of_the_config(name):
    """`Maxout.from_config` took an entry out of it: a second layer from the same config had lost its LoRA.

    The entries of layers inside are Keras's, whose `Conv2D` rewrites them.
    """
    config = keras.saving.serialize_keras_object(build(name))["config"]
    before = set(config)
    CLASSES[name].from_config(config)
    assert set(config) == before


@pytest.mark.parametrize("name", SERIALIZABLE)
def test_the_config_contains_every_argument(name):
    """After loading, an argument that `get_config` omits would have its default."""
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.signature(CLASSES[name].__init__).parameters.values()
    expected = {p.name for p in signature if p.kind in named and p.name != "self"}
    assert expected <= set(build(name).get_config())


@pytest.mark.parametrize("name", SERIALIZABLE)
def test_unknown_arguments_are_refused(name):
    arguments = ARGUMENTS.get(name, {})
    arguments = arguments() if callable(arguments) else arguments
    with pytest.raises((TypeError, ValueError), match="unheard_of|takes no arguments"):
        CLASSES[name](**arguments, unheard_of=1)


@pytest.mark.parametrize("name", sorted(TAKING_A_PATH))
def test_a_class_that_takes_a_path_is_not_registered(name):
    """They were, so that a `.keras` file could construct `ExactResume` for any folder of its reader."""
    kind = public_classes()[name]
    unit = kind(**ARGUMENTS[name])
    assert kind.from_config(unit.get_config()).get_config() == unit.get_config()
    with pytest.raises(TypeError, match="Could not locate class"):
        keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(unit))))


@pytest.mark.parametrize("name", sorted(n for n in public_functions() if n.startswith("activations.")))
def test_activations_are_saved_by_name(name):
    layer = keras.layers.Activation(public_functions()[name])
    stored = json.dumps(keras.saving.serialize_keras_object(layer))
    assert f"keras_lecture>{name}" in stored
    assert keras.saving.deserialize_keras_object(json.loads(stored)).activation is public_functions()[name]
