"""The loss of a model on one batch as a pure function of the model's weights."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_lecture import _backend
from keras_lecture._core.masks import with_mask_of
from keras_lecture._core.types import Tensor


def loss_on(model, batch, non_trainable, metrics=None, *, training: bool = True):
    """`f(weights, y_pred=None) → (loss, (y_pred, non_trainable, metrics))` of `model` on `batch`.

    `batch` is `(x, y, sample_weight)`. A given `y_pred` replaces the model's predictions.

    The loss is the total that Keras minimizes: the compiled loss or the model's own `compute_loss`, with sample
    weights, regularizers and the losses that layers add. Every call starts from the same `non_trainable` variables
    (seeds, moving statistics) and `metrics`, and returns their new values: the caller keeps those of one call.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    metrics = [v.value for v in model.metrics_variables] if metrics is None else metrics
    compute_loss = model.compute_loss
    mode = {"training": training} if _takes_training(getattr(compute_loss, "__func__", compute_loss)) else {}

    @_backend.repeatable
    def loss(weights, y_pred=None):
        groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
        # One scope for both: `compute_loss` sees the losses that layers add in a call only in the scope of this call.
        with _backend.scope(groups, (weights, non_trainable, metrics), collect_losses=True) as scope:
            y_pred = model(x, training=training) if y_pred is None else y_pred
            # Copies: Keras 3.15 and 3.16 multiply sample weights by masks in place, which PyTorch does to the batch.
            weighting = keras.tree.map_structure(lambda w: None if w is None else w * 1, sample_weight)
            value = compute_loss(x, y, y_pred, weighting, **mode)
        updated = [[scope.get_current_value(v) for v in group] for group in groups[1:]]
        return value, (y_pred, *updated)

    return loss


def build_for(model, batch):
    """Builds model, optimizer, loss and metrics for `(x, y, sample_weight)`, as the first step of `fit` does."""
    model._symbolic_build(data_batch=batch)


@functools.lru_cache
def _takes_training(compute_loss):
    """Whether it takes `training`; overrides written before Keras 3.3 do not, and Keras checks in the same way."""
    return "training" in inspect.signature(compute_loss).parameters


# The length of vectors in products with the curvature under float16's loss scaling: the largest scale, 2¹⁵, times it
# and curvatures of up to 128 is within the type. The gradient's own length can be anything.
SHORT = 2.0**-6


class Objective:
    """The loss of one batch for a search: value, gradients and curvature, unscaled, in one float type.

    `loss` is `f(weights) → (loss, aux)`. With a `scale`, float16's loss scaling, the scaled loss is differentiated and
    the derivatives are divided by the scale. `mean` averages tensors over the processes that train together, each with
    its part of the batch: all of them see the loss of the whole batch.
    """

    def __init__(
        self,
        loss: Callable[..., tuple[Tensor, Any]],
        dtype: str,
        scale: Tensor | None = None,
        mean: Callable[[Sequence[Tensor]], list[Tensor]] = list,
    ) -> None:
        def scaled(weights, y_pred=None):
            value, aux = loss(weights, y_pred)
            product = value if scale is None else value * ops.cast(scale, value.dtype)
            return product, (ops.cast(value, dtype), aux)

        self.scale = scale
        self._mean = mean
        self._scaled = scaled
        self._evaluate = _backend.value_and_grad(scaled)
        self._product = _backend.hessian_vector_product(scaled)

    def value(self, weights: Sequence[Tensor]) -> Tensor:
        _, (value, _) = self._scaled(weights)
        return self._mean([ops.stop_gradient(value)])[0]

    def value_and_gradients(self, weights: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        value, _, gradients = self.start(weights)
        return value, self._unscaled(gradients)

    def start(self, weights: Sequence[Tensor]) -> tuple[Tensor, Any, list[Tensor]]:
        """The value, the auxiliary output of the loss, and the gradients, still scaled."""
        (_, (value, aux)), gradients = self._evaluate(weights)
        return self._mean([value])[0], aux, self._mean(gradients)

    def curvature(self, weights: Sequence[Tensor], vectors: Sequence[Tensor]) -> list[Tensor]:
        """The Hessian times `vectors`."""
        short, length = self._shortened(vectors)
        return _times(length, self._unscaled(self._mean(self._product(weights, short))))

    def _shortened(self, vectors):
        """`vectors` of the length `SHORT` under loss scaling, and the factor by which they were longer."""
        if self.scale is None:
            return vectors, None
        length = ops.sqrt(sum(ops.sum(ops.square(v)) for v in vectors)) / SHORT
        length = ops.where(length > 0, length, ops.ones_like(length))
        return _times(1 / length, vectors), length

    def gauss_newton(self, weights: Sequence[Tensor]) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        """The product with the Gauss-Newton matrix at `weights`, JᵀℓJ + R, as a function of the vectors.

        J is the Jacobian of the model's outputs, ℓ the Hessian of the loss in the outputs, R its Hessian in the weights
        at fixed outputs, from regularizers. The matrix omits the curvature of the model itself, and so has no negative
        eigenvalue if the loss is convex in the outputs.
        """
        count = len(weights)
        _, (_, (y_pred, *_)) = self._scaled(weights)
        outputs = keras.tree.flatten(y_pred)

        def projected(both):
            """⟨u, outputs⟩ as a function of the weights and u, whose mixed derivatives are J and Jᵀ."""
            _, (_, (predicted, *_)) = self._scaled(both[:count])
            pairs = zip(both[count:], keras.tree.flatten(predicted), strict=True)
            return sum(ops.sum(u * z) for u, z in pairs), None

        def split(both):
            leaves = [with_mask_of(z, like) for z, like in zip(both[count:], outputs, strict=True)]
            value, _ = self._scaled(both[:count], keras.tree.pack_sequence_as(y_pred, leaves))
            return value, None

        def product(vectors):
            short, length = self._shortened(vectors)
            zeros = [ops.zeros_like(z) for z in outputs]
            along = _backend.hessian_vector_product(projected)([*weights, *zeros], [*short, *zeros])[count:]
            bent = _backend.hessian_vector_product(split)([*weights, *outputs], [*short, *along])
            _, back = _backend.value_and_grad(lambda w: projected([*w, *bent[count:]]))(weights)
            bent = [a + b for a, b in zip(back, bent[:count], strict=True)]
            return _times(length, self._unscaled(self._mean(bent)))

        return product

    def _unscaled(self, tensors):
        if self.scale is None:
            return tensors
        return [t / ops.cast(self.scale, t.dtype) for t in tensors]


def _times(factor, tensors):
    return tensors if factor is None else [ops.cast(factor, tensor.dtype) * tensor for tensor in tensors]
