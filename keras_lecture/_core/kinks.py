"""Functions with a kink, and the derivative that every backend takes there."""

from keras import ops

from keras_lecture._backend import accelerate


@accelerate
def absolute(x):
    """|x| with derivative 0 at 0, where `keras.ops.abs` has 1 on JAX (0.10) and 0 elsewhere."""
    return x * ops.stop_gradient(ops.sign(x))
