"""Memory for time: a layer whose inner values are not kept for its gradient but computed once more."""

import keras

from keras_lecture._backend import accelerate


@accelerate
def rematerialize(function, *tensors):
    """`function(*tensors)`, computed a second time for the gradient with respect to `tensors`."""
    return keras.remat(function)(*tensors)


def rematerialized(layer: keras.Layer, inputs: list, training):
    """`layer(inputs, training)` that keeps its inputs alone; statistics and random streams move on once.

    The state of the layer goes in and out as values: a second run, whenever the backend starts it, has nothing to
    update, and starts from the same state as the first.
    """
    # Only what the function is given as an argument has a gradient on TensorFlow.
    weights, state = layer.trainable_variables, layer.non_trainable_variables
    # The caller's list may have grown when the second run comes.
    count = len(inputs)
    # Without a gradient: JAX lets no function with a rule of its own read what is being differentiated, as the state is
    # when the layer runs for the second time in a model.
    before = [keras.ops.stop_gradient(variable.value) for variable in state]

    def pure(*tensors):
        values = zip(weights + state, (*tensors[count:], *before), strict=True)
        with keras.StatelessScope(state_mapping=list(values)) as scope:
            start = [scope.get_current_value(variable) for variable in state]
            outputs = layer(list(tensors[:count]), training=training)
            after = [scope.get_current_value(variable) for variable in state]
        return outputs, {i: new for i, (old, new) in enumerate(zip(start, after, strict=True)) if new is not old}

    outputs, changed = rematerialize(pure, *inputs, *[variable.value for variable in weights])
    for place, value in changed.items():
        state[place].assign(value)
    return outputs
