"""Weight constraints, and setting them on a built model."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.connections import check_axes, from_shape, from_weight, whole_numbers
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import Weight, attach, refuse_adapted, select

__all__ = ["MaxNorm", "constrain"]


@register
class MaxNorm(keras.constraints.Constraint):
    """Bounds the norm of the incoming weights of each unit by scaling down larger weight vectors.

    Use it with dropout and large learning rates. Costs one pass over the weights per step.

        w ← w · min(1, c/‖w‖)

    w the incoming weights of one output unit, c `max_value`. The weights of a unit within the bound do not change in
    any bit.

    Args:
        max_value: Largest norm c > 0. Defaults to `2.0`.
        axis: Axes of the kernel over which the norm of one unit's incoming weights is taken. By default all but the
            last, right for dense layers and convolutions; a depthwise kernel needs its spatial axes (`(0, 1)` in 2-D),
            a transposed convolution the spatial axes and the last (`(0, 1, 3)`). `constrain(model, …)` finds them for
            every layer.

    Example:
        >>> constraint = keras_lecture.constraints.MaxNorm(5.0)
        >>> keras.ops.convert_to_numpy(constraint(keras.ops.convert_to_tensor([[6.0, 3.0], [8.0, 4.0]]))).tolist()
        [[3.0, 3.0], [4.0, 4.0]]

    Reference:
        Deck D; Srebro and Shraibman, 2005; Hinton et al., 2012, arXiv:1207.0580. Deviations from
        `keras.constraints.MaxNorm`: its default axis 0 is wrong for convolutions, it shrinks every weight slightly by
        dividing by ‖w‖ + 1e-7, and its squares overflow in float16.
    """

    def __init__(self, max_value: float = 2.0, axis: int | Sequence[int] | None = None) -> None:
        checks.number("MaxNorm", "max_value", max_value, "(0, ∞)")
        axis = whole_numbers("MaxNorm", "axis", axis)
        self.max_value: float = float(max_value)
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        w = keras.ops.convert_to_tensor(w)
        check_axes("MaxNorm", "axis", self.axis, w.shape)
        axis = from_shape(w.shape).incoming if self.axis is None else self.axis
        dtype = keras.backend.standardize_dtype(w.dtype)
        wide = keras.ops.cast(w, "float32") if dtype in ("float16", "bfloat16") else w
        # Squares cannot overflow after division by the largest weight.
        largest = keras.ops.max(keras.ops.abs(wide), axis=axis, keepdims=True)
        unit = wide / keras.ops.where(largest > 0, largest, 1)
        norm = largest * keras.ops.sqrt(keras.ops.sum(keras.ops.square(unit), axis=axis, keepdims=True))
        too_long = norm > self.max_value
        shrunk = wide * (self.max_value / keras.ops.where(too_long, norm, 1))
        return keras.ops.where(too_long, keras.ops.cast(shrunk, dtype), w)

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}

    def for_weight(self, weight: Weight) -> "MaxNorm":
        """This constraint with the axes of the weight's layer."""
        connections = from_weight(weight)
        fitted = copy.copy(self)
        # A unit of an embedding has one incoming weight at a time; the row of a token is bounded instead.
        fitted.axis = list(connections.incoming or connections.outgoing)
        return fitted


def constrain(
    model: keras.layers.Layer,
    constraint: Callable[[Tensor], Tensor] | None,
    where: str | Callable[[keras.Variable], bool] = "kernels",
) -> list[str]:
    """Sets a constraint on weights of a built model, without rebuilding it, and returns their paths.

    Use it for `MaxNorm`: the axes of a unit's incoming weights depend on the layer in depthwise, transposed and
    separable convolution, `EinsumDense` and attention; in an embedding the row of each token is bounded. A constraint
    acts after each optimizer step. Selection, replacement, removal with `None`, compiled steps and saving work as in
    `penalize`; the kernels of attention need different axes, which are not saved.

    Args:
        model: A built Keras model or layer.
        constraint: A function from a weight to the constrained weight, such as `MaxNorm(3)`; `None` removes the
            present one.
        where: `"kernels"`, `"biases"`, `"all"`, or a predicate on the variable. Defaults to `"kernels"`.

    Returns:
        The paths of the selected weights.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.DepthwiseConv2D(3)])
        >>> len(keras_lecture.constraints.constrain(model, keras_lecture.constraints.MaxNorm(3)))
        1
        >>> model.layers[0].depthwise_constraint.axis
        [0, 1]

    Reference:
        Deck D.
    """
    if constraint is not None and not callable(constraint):
        checks.reject("constrain", "constraint", "a function of a weight, or None", constraint, error=TypeError)
    chosen = select("constrain", model, where)
    if constraint is not None:
        refuse_adapted("constrain", chosen)
        _refuse_data_start(chosen)
    attach(model, "constraint", [(weight, _fitted(constraint, weight)) for weight in chosen])
    return [weight.variable.path for weight in chosen]


def _refuse_data_start(chosen):
    for weight in chosen:
        if getattr(getattr(weight.variable, "derived", None), "starts_from_data", False):
            remedy = "On JAX a constraint cannot read its initial values. Wrap the layer with `data_init=False`."
            expected = "without `WeightNormalization` that starts from the data"
            checks.reject("constrain", "model", expected, weight.layer.name, remedy)


def _fitted(constraint, weight: Weight):
    """The constraint for one weight; axes given by the user are kept."""
    return constraint.for_weight(weight) if isinstance(constraint, MaxNorm) and constraint.axis is None else constraint
