"""A learning rate from a sweep before training: `find_learning_rate` and the callback `LearningRateFinder`."""

import warnings
from typing import Any, Self

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._training.chain import is_fixed
from keras_lecture._training.running_fit import fit_variables
from keras_lecture.callbacks._rates.learning_rate_sweep import SUGGESTIONS, LearningRateSweep
from keras_lecture.callbacks._rates.sweep import rate_owner, sweep

# Arguments of `fit` that have a meaning in a sweep.
_OF_FIT = ("batch_size", "callbacks", "class_weight", "sample_weight", "shuffle", "steps_per_epoch", "verbose")


def find_learning_rate(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    learning_rates: tuple[float, float] = (1e-7, 10.0),
    steps: int = 100,
    smoothing: float = 0.98,
    curvature: bool = False,
    **kwargs: Any,
) -> LearningRateSweep:
    """Trains with an increasing learning rate, records where the loss falls and explodes, and undoes the training.

    Use it before `fit`, to choose a rate for this model, optimizer and batch size. It works with any optimizer of Keras
    or of this package that has a learning rate, fixed or a schedule, and does not search for its own step length. Costs
    `steps` training steps, one copy of all variables on the host and, for a schedule, compiling the step again.

        ηₖ = η₁(ηₙ/η₁)^((k−1)/(n−1)),   k = 1 … n
        mₖ = βmₖ₋₁ + (1 − β)ℓₖ,   ℓ̂ₖ = mₖ/(1 − βᵏ)

    η₁ and ηₙ are `learning_rates`, n `steps`, β `smoothing`, ℓₖ the loss of batch k before its update, m₀ = 0. The
    sweep ends early where ℓₖ is not finite or ℓ̂ₖ exceeds 4 times its minimum. The first tenth of the steps, where ℓ̂ₖ
    is the mean of few batches, is not judged. Gradient descent on a quadratic loss explodes from 2/L on.

    The variables of the model (statistics of batch normalization, seeds), its optimizer (slots, iterations) and its
    metrics, and the random states of Python, NumPy, Keras and PyTorch are restored bit for bit, after an exception too.
    An unbuilt model or optimizer is built. Data that change when they are read stay read: the batches of a generator
    are used up, and the `on_epoch_end` of a `PyDataset` has run.

    Args:
        model: A compiled Keras model.
        x, y: Training data of any kind that `fit` takes.
        learning_rates: η₁ and ηₙ, the lowest and the highest rate. Defaults to `(1e-7, 10.0)`.
        steps: n, the number of rates. Data with fewer batches are repeated. Defaults to `100`.
        smoothing: β in [0, 1); 0 uses each loss as it is. Defaults to `0.98`.
        curvature: Whether to also suggest 1/L, from `diagnosis.curvature` on the first batch: a step length of gradient
            descent that is never too long there. Defaults to `False`.
        kwargs: Arguments of `fit`: `batch_size`, `sample_weight`, `class_weight`, `shuffle`, `steps_per_epoch`,
            `verbose` (the progress bar) and `callbacks` to use in the sweep, such as `GradientClipping`.

    Returns:
        A `LearningRateSweep`: arrays `learning_rates`, `losses` and `smoothed`, the reason for its `end`
        (`"complete"`, `"explosion"`, `"nonfinite"`) and suggestions: `steepest` (where ℓ̂ falls fastest per log η),
        `valley` (the middle of its longest fall) and `curvature` (1/L), each `None` where there is none.
        `keras_lecture.figures.learning_rate_sweep` draws it.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile("sgd", "mse")
        >>> sweep = keras_lecture.callbacks.find_learning_rate(
        ...     model, np.ones((4, 1)), np.zeros((4, 1)), smoothing=0.0, curvature=True, verbose=0
        ... )
        >>> sweep.end, round(sweep.curvature, 3)
        ('explosion', 0.5)
        >>> round(sweep.steepest, 3)
        0.055

    Reference:
        Smith, 2017, arXiv:1506.01186, section 3.3 (the sweep); the mean, the end at 4 times the minimum and the valley
        follow fastai's `lr_find`, which counts a valley from before its start and restores weights and optimizer only;
        deck B (η = 1/L). Keras has no counterpart.
    """
    owner = "find_learning_rate"
    rates = _checked_rates(owner, learning_rates, steps)
    checks.number(owner, "smoothing", smoothing, "[0, 1)")
    checks.boolean(owner, "curvature", curvature)
    checks.instance(owner, "model", model, keras.Model, "a Keras model")
    for name in kwargs:
        checks.one_of(owner, "kwargs", name, _OF_FIT)
    return sweep(owner, model, model.fit, (x, y, kwargs), (rates, smoothing, curvature))


@register
class LearningRateFinder(keras.callbacks.Callback):
    """Finds a learning rate on the data of this `fit`, before its first step, and trains with it.

    Use it to start without a guess: `fit` continues as if it had been called with the rate that was found. It runs
    `find_learning_rate` at the beginning of `fit`, with the same costs, formulas and guarantees: the training after it
    equals, bit for bit, the training after `optimizer.learning_rate = …`. Callbacks that observe gradients and come
    before it in the list also act in the sweep.

    With `apply=False` it is `find_learning_rate` before `fit`.

    Args:
        learning_rates: The lowest and the highest rate of the sweep. Defaults to `(1e-7, 10.0)`.
        steps: The number of rates. Defaults to `100`.
        smoothing: β in [0, 1) of the mean of the losses. Defaults to `0.98`.
        suggestion: Which suggestion to use: `"valley"`, `"steepest"` or `"curvature"`, which is 1/L and meant for
            gradient descent. Defaults to `"valley"`.
        apply: Whether to train with the rate that was found. Defaults to `True`.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile("sgd", "mse")
        >>> finder = keras_lecture.callbacks.LearningRateFinder(suggestion="curvature")
        >>> _ = model.fit(np.ones((4, 1)), np.zeros((4, 1)), verbose=0, callbacks=[finder])
        >>> round(float(model.optimizer.learning_rate), 3) == round(finder.sweep.curvature, 3) == 0.5
        True

    Reference:
        As `find_learning_rate`. After `fit`, `sweep` is its result. A schedule has no single rate to set: pass
        `apply=False` and build the schedule from the result. The rate stays set after `fit`.
    """

    # The result of the latest `fit`.
    sweep: LearningRateSweep | None = None

    def __init__(
        self,
        *,
        learning_rates: tuple[float, float] = (1e-7, 10.0),
        steps: int = 100,
        smoothing: float = 0.98,
        suggestion: str = "valley",
        apply: bool = True,
    ) -> None:
        _checked_rates("LearningRateFinder", learning_rates, steps)
        checks.number("LearningRateFinder", "smoothing", smoothing, "[0, 1)")
        checks.one_of("LearningRateFinder", "suggestion", suggestion, SUGGESTIONS)
        checks.boolean("LearningRateFinder", "apply", apply)
        super().__init__()
        self.learning_rates = tuple(learning_rates)
        self.steps = steps
        self.smoothing = smoothing
        self.suggestion = suggestion
        self.apply = apply

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        model = self.model
        optimizer = rate_owner("LearningRateFinder", model)
        if self.apply and not is_fixed(optimizer):
            remedy = "A schedule has no single rate: build it from the result of `find_learning_rate`."
            checks.reject("LearningRateFinder", "apply", "False where the rate is a schedule", True, remedy)
        x, y, options = _data_of_fit()
        options |= {"verbose": self.params["verbose"]}
        rates = _checked_rates("LearningRateFinder", self.learning_rates, self.steps)
        settings = rates, self.smoothing, self.suggestion == "curvature"
        self.sweep = sweep("LearningRateFinder", model, model.fit, (x, y, options), settings)
        if self.apply:
            self._apply(optimizer)

    def _apply(self, optimizer):
        rate = self.sweep.suggestion(self.suggestion)
        if rate is None:
            message = "LearningRateFinder: the loss never falls in the sweep; the learning rate is unchanged."
            warnings.warn(message, stacklevel=2)
            return
        optimizer.learning_rate = rate

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rates": list(self.learning_rates),
            "steps": self.steps,
            "smoothing": self.smoothing,
            "suggestion": self.suggestion,
            "apply": self.apply,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


def _checked_rates(owner, learning_rates, steps):
    """The rates of the sweep, in Keras's float type."""
    if not isinstance(learning_rates, tuple | list) or len(learning_rates) != 2:
        expectation = "a pair of numbers, the lowest and the highest rate"
        checks.reject(owner, "learning_rates", expectation, learning_rates, error=TypeError)
    for rate in learning_rates:
        checks.number(owner, "learning_rates", rate, "[1e-30, 1e30]")
    if not learning_rates[0] < learning_rates[1]:
        checks.reject(owner, "learning_rates", "two numbers that increase", learning_rates)
    checks.whole(owner, "steps", steps, "[2, 100000]")
    return np.geomspace(*learning_rates, steps).astype(keras.config.floatx())


def _data_of_fit():
    """`x`, `y` and further arguments of the running `fit`."""
    known = fit_variables()
    if "x" not in known:
        raise ValueError("LearningRateFinder: this `fit` is not Keras's own. Call `find_learning_rate` before it.")
    if hasattr(known["x"], "__next__"):
        raise ValueError(
            "LearningRateFinder: a generator can be read only once. Call `find_learning_rate` with another one before "
            "`fit`, or pass a `PyDataset`."
        )
    names = ("batch_size", "class_weight", "sample_weight", "shuffle", "steps_per_epoch")
    return known["x"], known["y"], {name: known[name] for name in names}
