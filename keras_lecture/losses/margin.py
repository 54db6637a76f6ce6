"""Margin losses: losses of the lead of the true class, or of the score times the sign of the label."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_lecture._backend import accelerate, fuse
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.losses._base.class_loss import ClassLoss
from keras_lecture.losses._base.loss import Loss
from keras_lecture.losses._base.targets import aligned, class_indices, indices_of_rows, is_one_hot


@register
class MulticlassHinge(ClassLoss):
    """Multiclass hinge (SVM) loss: exactly 0 once the true class leads every other by a margin.

    Use it when only the ranking matters; unlike cross entropy it gives no gradient to samples that are right by a
    margin.

        L = Σ_{k≠y} max(0, s_k − s_y + Δ),  derivative 0 where s_k − s_y + Δ = 0

    s `y_pred`, y `y_true`, Δ `margin`. Class indices give the same loss as one-hot rows. A label that is no class index
    makes the loss of its sample NaN.

    Args:
        margin: The lead Δ > 0 that the true class must have. Defaults to the slides' `1.0`.
        ignore_class: Class index whose samples are excluded, whatever their scores; it may lie outside the classes. A
            one-hot row is excluded if it has a 1 in this column. Defaults to `None`, all samples count.
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.MulticlassHinge()
        >>> round(float(loss([0], [[3.2, 5.1, -1.7]])), 4)
        2.9

    Reference:
        Weston and Watkins, 1999; deck C. Deviation: none. `keras.losses.CategoricalHinge` counts only the largest score
        of the other classes (Crammer and Singer), and takes it to be at least 0, so that it is 1.5 for scores
        (−0.5, −5, −5) where the formula gives 0. `torch.nn.MultiMarginLoss` is this loss divided by the number of
        classes.
    """

    def __init__(
        self,
        *,
        margin: float = 1.0,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        checks.number("MulticlassHinge", "margin", margin, "(0, ∞)")
        super().__init__(ignore_class=ignore_class, reduction=reduction, name=name, dtype=dtype)
        self.margin = margin

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if is_one_hot("MulticlassHinge", y_true, y_pred):
            y_true = indices_of_rows(y_true)
        return multiclass_hinge(y_true, y_pred, margin=self.margin)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}


@accelerate
@fuse
def multiclass_hinge(y_true: Tensor, scores: Tensor, *, margin: float) -> Tensor:
    indices, is_class = class_indices(y_true, scores)
    index = ops.expand_dims(indices, -1)
    excess = scores - ops.take_along_axis(scores, index, axis=-1)
    # Not `relu(excess + margin)`, which TensorFlow's graphs compute as s_k + (Δ − s_y): next to 10⁸ a Δ of 1 is lost.
    penalty = ops.where(excess <= -margin, 0.0, excess + margin)
    others = ops.arange(scores.shape[-1], dtype="int32") != index
    return ops.where(is_class, ops.sum(ops.where(others, penalty, 0.0), axis=-1), float("nan"))


def _of_margin(y_true, f, *, phi, **parameters):
    y = ops.where(y_true == 0, -1.0, ops.where(ops.abs(y_true) == 1, y_true, float("nan")))
    losses = phi(y * f, **parameters)
    return ops.mean(losses, axis=-1) if len(losses.shape) > 1 else losses


class _MarginLoss(Loss):
    """φ(v) of the margin v = y·f, averaged over the scores of a sample; NaN for a label other than −1, 0 and 1."""

    phi: Callable[..., Tensor]
    compute: Callable[..., Tensor] = staticmethod(fuse(_of_margin))

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true = aligned(type(self).__name__, y_true, y_pred)
        return self.compute(y_true, y_pred, phi=type(self).phi, **self.parameters())

    def parameters(self) -> dict[str, float]:
        """The arguments of `phi` other than the margin."""
        return {}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.parameters()}


@register
class Logistic(_MarginLoss):
    """Logistic loss, the negative log-likelihood of a binary label −1 or 1.

    The default among the margin losses: convex, smooth, and only linear in the margin of a wrong prediction.

        L = log(1 + e^(−v)),  v = y·f

    y `y_true` ∈ {−1, 1} or {0, 1}, f `y_pred`. With labels 0 and 1 it is `BinaryCrossEntropy`.

    Args:
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.Logistic()
        >>> round(float(loss([[1.0]], [[2.0]])), 4)
        0.1269

    Reference:
        Deck A. Deviation: the natural logarithm, as on the slide, where some tables divide by log 2.
    """

    @staticmethod
    def phi(v: Tensor) -> Tensor:
        return -ops.log_sigmoid(v)


@register
class Square(_MarginLoss):
    """Square loss on the margin: least squares on labels −1 and 1.

    Simple and smooth, but it also penalizes predictions that are right by more than the margin.

        L = (1 − v)²,  v = y·f

    y `y_true` ∈ {−1, 1} or {0, 1}, f `y_pred`. With labels −1 and 1 it is the squared error (f − y)².

    Args:
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.Square()
        >>> round(float(loss([[1.0]], [[0.5]])), 4)
        0.25

    Reference:
        Deck A (other losses for classification). Deviation: none.
    """

    @staticmethod
    def phi(v: Tensor) -> Tensor:
        return ops.square(1 - v)


@register
class SquaredHinge(_MarginLoss):
    """Squared hinge: 0 beyond the margin, and smooth where the hinge has its kink.

    Use it instead of a hinge when the optimizer needs a continuous gradient.

        L = max(0, 1 − v)²,  v = y·f

    y `y_true` ∈ {−1, 1} or {0, 1}, f `y_pred`. For `v ≤ 1` it is `Square`.

    Args:
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.SquaredHinge()
        >>> round(float(loss([[1.0]], [[0.5]])), 4)
        0.25

    Reference:
        Deck A (other losses for classification). Deviation: none; `keras.losses.SquaredHinge` gives the same numbers.
    """

    @staticmethod
    def phi(v: Tensor) -> Tensor:
        return ops.square(ops.relu(1 - v))


def _bend(v, alpha):
    """v^(α+1)/(α+1) − v + α/(α+1) for 0 < v < 1, in w = 1 − v."""
    w, power = 1 - v, alpha + 1
    if alpha == 1:
        return ops.square(w) / 2
    # Near v = 1 the three terms cancel; the binomial series Σ (α+1 over k)·(−w)ᵏ/(α+1), k = 2, 3, … does not.
    limit = min(0.5, 2 / power)
    coefficients = [alpha / 2]
    while abs(coefficients[-1]) > 1e-18 * alpha:
        k = len(coefficients) + 2
        coefficients.append(coefficients[-1] * limit * (k - 1 - power) / k)
    near = w < limit
    x, series = ops.where(near, w, 0.0), 0.0
    for coefficient in reversed(coefficients):
        series = series * (x / limit) + coefficient
    return ops.where(near, ops.square(x) * series, w - (1 - ops.where(near, 0.5, v) ** power) / power)


@register
class SmoothHinge(_MarginLoss):
    """Generalized smooth hinge: linear for wrong predictions, 0 beyond the margin, smooth in between.

    A hinge without its kink; a larger α is closer to the hinge.

        L = α/(α+1) − v for v ≤ 0,  v^(α+1)/(α+1) − v + α/(α+1) for 0 < v < 1,  0 for v ≥ 1

    y `y_true` ∈ {−1, 1} or {0, 1}, f `y_pred`, v = y·f, α `alpha`.
    For `alpha → ∞` it is the hinge `max(0, 1 - v)`.

    Args:
        alpha: Sharpness α > 0 of the transition. Defaults to `1.0`.
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.SmoothHinge()
        >>> round(float(loss([[1.0]], [[0.5]])), 4)
        0.125

    Reference:
        Rennie, 2005; deck A (other losses for classification). Deviation: none.
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        checks.number("SmoothHinge", "alpha", alpha, "(0, ∞)")
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.alpha = alpha

    def parameters(self) -> dict[str, float]:
        return {"alpha": self.alpha}

    @staticmethod
    def phi(v: Tensor, alpha: float) -> Tensor:
        inside = ops.logical_and(v > 0, v < 1)
        outside = ops.where(v >= 1, 0.0, alpha / (alpha + 1) - v)
        return ops.where(inside, _bend(ops.where(inside, v, 0.5), alpha), outside)


@register
class Exponential(_MarginLoss):
    """Exponential loss, the loss of AdaBoost, exponential in the margin of a wrong prediction.

    Do not use it with noisy labels: a single one outweighs all other samples. Infinite where e^(−v) overflows.

        L = e^(−v),  v = y·f

    y `y_true` ∈ {−1, 1} or {0, 1}, f `y_pred`. Its minimum over f is half the log odds of y.

    Args:
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.Exponential()
        >>> round(float(loss([[1.0]], [[0.5]])), 4)
        0.6065

    Reference:
        Deck A (other losses for classification). Deviation: none.
    """

    @staticmethod
    def phi(v: Tensor) -> Tensor:
        return ops.exp(-v)


@register
class Savage(_MarginLoss):
    """Savage loss: bounded, so that a sample far on the wrong side, perhaps mislabeled, has almost no gradient.

    Use it with noisy labels. Not convex: training is slow from a start far from the solution.

        L = 1 / (1 + e^v)²,  v = y·f

    y `y_true` ∈ {−1, 1} or {0, 1}, f `y_pred`. It is the squared probability of the wrong class, `sigmoid(-v)²`.

    Args:
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.Savage()
        >>> round(float(loss([[1.0]], [[0.5]])), 4)
        0.1425

    Reference:
        Masnadi-Shirazi and Vasconcelos, 2008; deck A (other losses for classification).
        Deviation: the paper has 2v in place of v, for scores of half the size.
    """

    @staticmethod
    def phi(v: Tensor) -> Tensor:
        # Not `sigmoid`: frameworks differentiate it as σ(1 − σ), which is 0 for σ next to 1.
        positive = v >= 0
        t = ops.exp(ops.where(positive, -v, v))
        return ops.square(ops.where(positive, t, 1.0) / (1 + t))


@register
class Tangent(_MarginLoss):
    """Tangent loss: bounded like `Savage`, and it also penalizes predictions that are right by a large margin.

    Use it with noisy labels and outliers. Not convex.

        L = (2·arctan(v) − 1)²,  v = y·f

    y `y_true` ∈ {−1, 1} or {0, 1}, f `y_pred`. It is 0 at `v = tan ½`.

    Args:
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.Tangent()
        >>> round(float(loss([[1.0]], [[0.5]])), 4)
        0.0053

    Reference:
        Masnadi-Shirazi et al., 2010; deck A (other losses for classification). Deviation: none.
    """

    # Not fused: XLA's arctangent takes five times as long as TensorFlow's own operation.
    compute: Callable[..., Tensor] = staticmethod(_of_margin)

    @staticmethod
    def phi(v: Tensor) -> Tensor:
        return ops.square(2 * ops.arctan(v) - 1)
