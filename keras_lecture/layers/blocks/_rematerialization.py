"""Rematerialization: a layer's inner values are recomputed for the gradient instead of kept."""

import keras

from keras_lecture._backend import accelerate


@accelerate
def rematerialize(function, *tensors):
    """`function(*tensors)`, recomputed for the gradient with respect to `tensors`."""
    return keras.remat(function)(*tensors)


def rematerialized(layer: keras.Layer, inputs: list, training):
    """`layer(inputs, training)` that keeps only its inputs; moving statistics and random streams are updated once.

    The state of the layer goes in and out as values, so a second run, whenever the backend starts it, updates nothing
    and starts from the same state as the first.
    """
    # On TensorFlow only the arguments of the function have gradients.
    weights, state = layer.trainable_variables, layer.non_trainable_variables
    # The caller's list may have grown by the time of the second run.
    count = len(inputs)
    # Without a gradient: on JAX a function with a custom gradient must not close over values that are being
    # differentiated, as the state is when the layer is called a second time in a model.
    before = [keras.ops.stop_gradient(variable.value) for variable in state]

    def pure(*tensors):
        values = zip(weights + state, (*tensors[count:], *before), strict=True)
        with keras.StatelessScope(state_mapping=list(values)) as scope:
            start = [scope.get_current_value(variable) for variable in state]
            outputs = layer(list(tensors[:count]), training=training)
            after = [scope.get_current_value(variable) for variable in state]
        return outputs, {i: new for i, (old, new) in enumerate(zip(start, after, strict=True)) if new is not old}

    outputs, changed = rematerialize(pure, *inputs, *[variable.value for variable in weights])
    for i, value in changed.items():
        state[i].assign(value)
    return outputs
