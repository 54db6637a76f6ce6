"""Keras's moving averages of the weights (`use_ema`), copied into the weights at the end of `fit`.

Keras 3.15 on JAX makes weights and averages share their arrays then, and the next `fit`, which donates both, ends in an
error.
"""

import keras

from keras_lecture._core.assignment import assign_copy


class OwnAverages(keras.optimizers.Optimizer):
    """The base of optimizers whose averages stay their own."""

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        super().finalize_variable_values(var_list)
        if self.use_ema:
            own_memory(var_list)


def own_memory(variables: list[keras.Variable]) -> None:
    """Gives each variable memory of its own."""
    for variable in variables:
        assign_copy(variable, variable)
