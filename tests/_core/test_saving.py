"""Names registered with Keras, and the collision that they avoid."""

import keras

import keras_lecture
from keras_lecture._core.saving import register


def test_a_loss_and_a_regularizer_of_the_same_name_load_correctly():
    """`losses.L1` and `regularizers.L1` shared the name `keras_lecture>L1`: Keras loaded the one registered last."""
    for unit in (keras_lecture.losses.L1(), keras_lecture.regularizers.L1(0.5)):
        stored = keras.saving.serialize_keras_object(unit)
        assert type(keras.saving.deserialize_keras_object(stored)) is type(unit)


def test_a_file_can_move_within_its_subpackage():
    """The registered name holds the subpackage and the class, not the file."""
    moved = type("Thing", (), {"__module__": "keras_lecture.losses.a_new_file", "get_config": dict})
    assert keras.saving.get_registered_name(register(moved)) == "keras_lecture>losses.Thing"
