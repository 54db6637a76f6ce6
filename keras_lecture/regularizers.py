"""Weight penalties, and setting them on a built model."""

from collections.abc import Callable
from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.kinks import absolute
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import attach, select

__all__ = ["L1", "L2", "penalize"]


class _Penalty(keras.regularizers.Regularizer):
    """`factor` times a sum over the weights, computed in at least float32."""

    def __init__(self, factor: float = 0.01) -> None:
        checks.number(type(self).__name__, "factor", factor, "[0, ∞)")
        self.factor: float = float(factor)

    def __call__(self, x: Tensor) -> Tensor:
        x = keras.ops.convert_to_tensor(x)
        # 65504 is float16's largest number: 70 000 weights of size 1 exceed it.
        if keras.backend.standardize_dtype(x.dtype) in ("float16", "bfloat16"):
            x = keras.ops.cast(x, "float32")
        return self.factor * keras.ops.sum(self.term(x))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}


@register
class L1(_Penalty):
    """L1 penalty, the sum of the absolute weights; it drives individual weights to zero.

    Use it to find the few inputs that matter. Under gradient descent the weights only oscillate around zero: for exact
    zeros use the proximal step of the optimizers, their argument `l1`.

        R = λ Σ |w|

    λ `factor`, w `x`. The gradient at zero is zero.

    Args:
        factor: Strength λ ≥ 0. Defaults to `0.01`.

    Example:
        >>> penalty = keras_lecture.regularizers.L1(1.0)
        >>> float(penalty(keras.ops.convert_to_tensor([0.0, 0.75, 0.0])))
        0.75

    Reference:
        Decks A, C, D (0.75 against 1), E. Deviations from `keras.regularizers.L1`: its gradient at zero is λ on JAX;
        float16 and bfloat16 weights are summed, and the penalty returned, in float32.
    """

    def term(self, x: Tensor) -> Tensor:
        return absolute(x)


@register
class L2(_Penalty):
    """L2 penalty, the sum of the squared weights; it prefers many small weights to a few large ones.

    Use it against overfitting. An adaptive optimizer rescales its gradient with that of the loss; the argument
    `weight_decay` of the optimizers is not rescaled.

        R = λ Σ w²

    λ `factor`, w `x`. The gradient is 2λw.

    Args:
        factor: Strength λ ≥ 0. Defaults to `0.01`.

    Example:
        >>> penalty = keras_lecture.regularizers.L2(1.0)
        >>> float(penalty(keras.ops.convert_to_tensor([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])))
        1.25

    Reference:
        Decks A, C (1 + 0.25 = 1.25), D (0.5625 against 0.375), E, which misprints the gradient as λw. Deviation from
        `keras.regularizers.L2`: float16 and bfloat16 weights are summed, and the penalty returned, in float32.
    """

    def term(self, x: Tensor) -> Tensor:
        return keras.ops.square(x)


def penalize(
    model: keras.layers.Layer,
    regularizer: Callable[[Tensor], Tensor] | None,
    where: str | Callable[[keras.Variable], bool] = "kernels",
) -> list[str]:
    """Sets a penalty on weights of a built model, without rebuilding it, and returns their paths.

    Use it on any model whose layers were created without regularizers: an application, a loaded file, a nested model.
    Biases and the gains of normalization layers are left out unless `where` selects them; embeddings and recurrent
    kernels are kernels. It replaces the regularizer that a weight already has, so that a second call changes nothing; a
    shared weight counts once; a frozen weight counts once it is trainable again.

    Compiled train and test steps are retraced; if models are nested, call it on the model that you train. Layers and
    blocks keep the regularizer in their configs, thus in saved files and clones. Some configs cannot hold it: layers
    without a `kernel_regularizer`, sublayers created by a subclassed model, different regularizers for the kernels of
    one attention layer. For these call `penalize` again after loading. `penalize(model, None)` removes the penalty.

    Args:
        model: A built Keras model or layer.
        regularizer: A function from a weight to its penalty, such as `L2(1e-4)`; `None` removes the present one.
        where: `"kernels"`, `"biases"`, `"all"`, or a predicate on the variable
            (`lambda variable: variable.path.startswith("encoder")`). Defaults to `"kernels"`.

    Returns:
        The paths of the selected weights.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_initializer="ones")])
        >>> len(keras_lecture.regularizers.penalize(model, keras_lecture.regularizers.L2(0.5)))
        1
        >>> [keras.ops.convert_to_numpy(loss).tolist() for loss in model.losses]
        [3.0]

    Reference:
        Deck E: "biases are not regularized".
    """
    if regularizer is not None and not callable(regularizer):
        checks.reject("penalize", "regularizer", "a function of a weight, or None", regularizer, error=TypeError)
    chosen = select("penalize", model, where)
    attach(model, "regularizer", [(weight, regularizer) for weight in chosen])
    return [weight.variable.path for weight in chosen]
