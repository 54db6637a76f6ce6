"""Margin losses: how far the score of the true class is ahead."""

from keras import ops

from keras_lecture._backend import accelerate, fuse
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture.losses._base.class_loss import ClassLoss
from keras_lecture.losses._base.loss import Loss
from keras_lecture.losses._base.targets import aligned, class_numbers, is_one_hot, numbers_of_rows


@register
class MulticlassHinge(ClassLoss):
    """Hinge loss over classes (SVM loss): content once the true class leads every other by a margin, then exactly 0.

    Use it when only the ranking matters; unlike cross entropy it stops pushing samples that are right by a margin.

        L = Σ_{k≠y} max(0, s_k − s_y + Δ),  derivative 0 where s_k − s_y + Δ = 0

    s `y_pred`, y `y_true`, Δ `margin`. Class numbers give the same loss as their one-hot rows. A label that names no
    class makes the loss of its sample NaN.

    Args:
        margin: The lead Δ > 0 that the true class must have. Defaults to the slides' `1.0`.
        ignore_class: Number of a class, real or not, whose samples do not count, whatever their scores are; of one-hot
            rows that with a 1 in this column. Defaults to `None`, no class.
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.MulticlassHinge()
        >>> round(float(loss([0], [[3.2, 5.1, -1.7]])), 4)
        2.9

    Reference:
        Weston and Watkins, 1999; deck C. Deviation: none. `keras.losses.CategoricalHinge` counts only the strongest
        rival (Crammer and Singer), and takes it to be at least 0, so that it is 1.5 for scores (−0.5, −5, −5) where the
        formula gives 0. `torch.nn.MultiMarginLoss` is this loss divided by the number of classes.
    """

    def __init__(
        self,
        *,
        margin: float = 1.0,
        ignore_class: int | None = None,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        checks.number("MulticlassHinge", "margin", margin, "(0, ∞)")
        super().__init__(ignore_class=ignore_class, reduction=reduction, name=name, dtype=dtype)
        self.margin = margin

    def call(self, y_true, y_pred):
        if is_one_hot("MulticlassHinge", y_true, y_pred):
            y_true = numbers_of_rows(y_true)
        return multiclass_hinge(y_true, y_pred, margin=self.margin)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}


@accelerate
@fuse
def multiclass_hinge(y_true, scores, *, margin):
    numbers, is_class = class_numbers(y_true, scores)
    numbers = ops.expand_dims(numbers, -1)
    lead = scores - ops.take_along_axis(scores, numbers, axis=-1)
    # Not `relu(lead + margin)`, which TensorFlow's graphs compute as s_k + (Δ − s_y): beside 10⁸ a margin of 1 is lost.
    behind = ops.where(lead <= -margin, 0.0, lead + margin)
    others = ops.arange(scores.shape[-1], dtype="int32") != numbers
    return ops.where(is_class, ops.sum(ops.where(others, behind, 0.0), axis=-1), float("nan"))


def of_margin(y_true, f, *, phi, **parameters):
    y = ops.where(y_true == 0, -1.0, ops.where(ops.abs(y_true) == 1, y_true, float("nan")))
    losses = phi(y * f, **parameters)
    return ops.mean(losses, axis=-1) if len(losses.shape) > 1 else losses


class _MarginLoss(Loss):
    """φ(v) of the margin v = y·f, averaged over the scores of a sample. A label that is no sign gives NaN."""

    phi = None
    compute = staticmethod(fuse(of_margin))

    def call(self, y_true, y_pred):
        y_true = aligned(type(self).__name__, y_true, y_pred)
        return self.compute(y_true, y_pred, phi=type(self).phi, **self.parameters())

    def parameters(self) -> dict:
        """What `phi` takes beside the margin."""
        return {}

    def sample_shape(self, shape):
        return shape[:-1] if len(shape) > 1 else shape

    def get_config(self):
        return {**super().get_config(), **self.parameters()}


@register
class Logistic(_MarginLoss):
    """Logistic loss: the negative log-likelihood of a yes-or-no question, with labels −1 and 1.

    The default among the margin losses: convex, smooth, grows only linearly for wrong answers.

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
    def phi(v):
        return -ops.log_sigmoid(v)


@register
class Square(_MarginLoss):
    """Square loss on the margin: least squares on labels −1 and 1.

    Simple and smooth, but it also punishes answers that are right by more than the margin.

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
    def phi(v):
        return ops.square(1 - v)


@register
class SquaredHinge(_MarginLoss):
    """Squared hinge: 0 beyond the margin, and smooth where the hinge has its kink.

    Use it in place of a hinge when the optimizer wants a continuous gradient.

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
    def phi(v):
        return ops.square(ops.relu(1 - v))


def _bend(v, alpha):
    """v^(α+1)/(α+1) − v + α/(α+1) for 0 < v < 1, in w = 1 − v."""
    w, power = 1 - v, alpha + 1
    if alpha == 1:
        return ops.square(w) / 2
    # Near v = 1 the three terms cancel, and the binomial series Σ (α+1 over k)·(−w)ᵏ/(α+1), k = 2, 3, … takes over.
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
    """Generalized smooth hinge: linear for wrong answers, 0 beyond the margin, smooth between.

    A hinge without its kink; a larger α is closer to the hinge.

        L = α/(α+1) − v for v ≤ 0,  v^(α+1)/(α+1) − v + α/(α+1) for 0 < v < 1,  0 for v ≥ 1

    y `y_true` ∈ {−1, 1} or {0, 1}, f `y_pred`, v = y·f, α `alpha`.
    For `alpha → ∞` it is the hinge `max(0, 1 - v)`.

    Args:
        alpha: Sharpness α > 0 of the bend. Defaults to `1.0`.
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.SmoothHinge()
        >>> round(float(loss([[1.0]], [[0.5]])), 4)
        0.125

    Reference:
        Rennie, 2005; deck A (other losses for classification). Deviation: none.
    """

    def __init__(self, *, alpha: float = 1.0, reduction="sum_over_batch_size", name=None, dtype=None):
        checks.number("SmoothHinge", "alpha", alpha, "(0, ∞)")
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.alpha = alpha

    def parameters(self):
        return {"alpha": self.alpha}

    @staticmethod
    def phi(v, alpha):
        inside = ops.logical_and(v > 0, v < 1)
        outside = ops.where(v >= 1, 0.0, alpha / (alpha + 1) - v)
        return ops.where(inside, _bend(ops.where(inside, v, 0.5), alpha), outside)


@register
class Exponential(_MarginLoss):
    """Exponential loss, the one of AdaBoost: every wrong answer counts exponentially.

    Never with noisy labels: one of them outweighs all others. Infinite where e^(−v) leaves the range of floats.

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
    def phi(v):
        return ops.exp(-v)


@register
class Savage(_MarginLoss):
    """Savage loss: bounded, so that a hopeless sample, perhaps a wrong label, is given up.

    Use it with noisy labels. Not convex: a start far off learns slowly.

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
    def phi(v):
        # Not `sigmoid`: frameworks differentiate it as σ(1 − σ), which is 0 for σ next to 1.
        positive = v >= 0
        t = ops.exp(ops.where(positive, -v, v))
        return ops.square(ops.where(positive, t, 1.0) / (1 + t))


@register
class Tangent(_MarginLoss):
    """Tangent loss: bounded like Savage, and it also punishes answers that are too right.

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

    # Not fused: XLA takes five times as long for an arc tangent as TensorFlow's own operation.
    compute = staticmethod(of_margin)

    @staticmethod
    def phi(v):
        return ops.square(2 * ops.arctan(v) - 1)
