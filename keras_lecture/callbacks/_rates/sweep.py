"""Runs a learning rate sweep on a model, and undoes the training."""

import math

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.objective import build_for
from keras_lecture._core.random_state import same_random_state
from keras_lecture._training.chain import innermost, is_fixed
from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.rehearsal import rehearsal
from keras_lecture._training.running_fit import callback_list
from keras_lecture._training.stage import Rank, Stage
from keras_lecture.callbacks._rates.learning_rate_sweep import LearningRateSweep
from keras_lecture.callbacks._rates.smoothing import Smoothing
from keras_lecture.diagnosis import curvature as curvature_of
from keras_lecture.optimizers._search.closure import Closure


def sweep(owner, model, fit, data, settings):
    """The result of a sweep on `data`, `(x, y, arguments of fit)`; the training is undone."""
    rates, smoothing, curvature = settings
    if not model.compiled:
        checks.reject(owner, "model", "compiled", model.name, "Call `model.compile(…)` first.")
    optimizer = rate_owner(owner, model)
    x, y, options = data
    options = {"verbose": "auto", **options}
    bend = None
    with same_random_state():
        if curvature or not (model.built and model.optimizer.built):
            batch, x = _first_batch(x, y, options)
            build_for(model, batch)
        if curvature:
            largest = curvature_of(model, *batch).largest
            bend = 1.0 / largest if largest > 0 else None
        recorder = _Recorder(owner, optimizer, rates, smoothing, options.pop("verbose"))
        callbacks = [*keras.tree.flatten(options.pop("callbacks", None) or []), recorder]
        with rehearsal(model):
            if model.steps_per_execution != 1:
                model.steps_per_execution, model.train_function = 1, None
            fit(x, y, epochs=len(rates), verbose=0, callbacks=callbacks, **options)
    return recorder.result(bend)


class _Recorder(keras.callbacks.Callback):
    """Sets the rate and records the loss of each step."""

    def __init__(self, owner, optimizer, rates, smoothing, verbose):
        super().__init__()
        self._owner, self._optimizer, self._rates = owner, optimizer, rates
        # The mean of few batches is unreliable: it gives no suggestion and no explosion.
        self._warmup = len(rates) // 10
        self._smoothing = Smoothing(smoothing, self._warmup)
        # Counted in updates: a step that loss scaling skips does not count.
        self._first = int(ops.convert_to_numpy(optimizer._iterations))
        self._losses, self._smoothed = [], []
        self._end = "complete"
        self._seen = 0
        self._bar = keras.utils.Progbar(
            len(rates), verbose=1 if verbose == "auto" else verbose, stateful_metrics=["loss", "learning_rate"]
        )

    def on_train_begin(self, logs=None):
        self._run = self._table = None
        if not is_fixed(self._optimizer):
            self._run = pipeline_of(self._model).open(callback_list())
            self._table = _Table(self._optimizer, self._rates, self._first)
            self._run.add(self._table)

    def on_train_end(self, logs=None):
        if self._run is not None:
            self._run.remove(self._table)

    def on_train_batch_begin(self, batch, logs=None):
        # On JAX, reading `self.model` makes Keras write its state back to the variables, and read it again.
        self.model.reset_metrics()
        self._k = int(ops.convert_to_numpy(self._optimizer._iterations)) - self._first
        if is_fixed(self._optimizer):
            self._optimizer.learning_rate = self._rates[self._k]

    def on_train_batch_end(self, batch, logs=None):
        if "loss" not in (logs or {}):
            raise ValueError(
                f"{self._owner} needs a `train_step` that returns the `loss`. Received: {list(logs or {})}."
            )
        loss = float(logs["loss"])
        self._seen += 1
        if not math.isfinite(loss):
            self._stop("nonfinite")
            return
        if self._k == len(self._losses):
            self._losses.append(loss)
            self._smoothed.append(self._smoothing(loss))
        self._bar.update(self._k + 1, [("loss", self._smoothed[-1]), ("learning_rate", self._rates[self._k])])
        if self._smoothing.exploded:
            self._stop("explosion")
        elif self._k + 1 == len(self._rates) or self._seen == 2 * len(self._rates):
            self._stop("complete")

    def _stop(self, end):
        self._end = end
        self._model.stop_training = True

    def result(self, curvature):
        count = len(self._losses)
        if count:
            self._bar.update(count, [("loss", self._smoothed[-1])], finalize=True)
        losses, smoothed = np.array(self._losses), np.array(self._smoothed)
        return LearningRateSweep(self._rates[:count], losses, smoothed, self._end, self._warmup, curvature)


class _Table(Stage):
    """A table of rates in place of a schedule, which cannot be set between steps, while a step is traced."""

    rank = Rank.RATE

    def __init__(self, optimizer, rates, first):
        self._optimizer = optimizer
        self._rates, self._first = rates, first
        self._schedule = None

    def open(self, step):
        self._schedule, self._optimizer._learning_rate = (
            self._optimizer._learning_rate,
            _Lookup(self._rates, self._first),
        )

    def reset(self):
        if self._schedule is not None:
            self._optimizer._learning_rate, self._schedule = self._schedule, None


class _Lookup(keras.optimizers.schedules.LearningRateSchedule):
    """The rate of each step from `first` on, looked up inside the compiled step."""

    def __init__(self, rates, first):
        self._rates, self._first = rates, first

    def __call__(self, step):
        index = ops.clip(ops.cast(step, "int32") - self._first, 0, len(self._rates) - 1)
        return ops.take(ops.convert_to_tensor(self._rates), index)


def rate_owner(owner, model):
    """The innermost optimizer, whose learning rate is used."""
    core = innermost(model.optimizer)
    reason = None
    if isinstance(core, Closure):
        reason = f"{type(core).__name__} finds the length of each step by itself."
    elif isinstance(core, keras.optimizers.MultiOptimizer):
        reason = "MultiOptimizer has a rate for each of its optimizers."
    if reason:
        checks.reject(
            owner, "model.optimizer", "an optimizer that takes one learning rate", type(core).__name__, reason
        )
    return core


def _first_batch(x, y, options):
    """The first batch, `(x, y, sample_weight)`, and `x` with that batch put back."""
    size = options.get("batch_size") or 32
    if isinstance(x, keras.utils.PyDataset):
        batch = x[0]
    elif all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x)):
        arrays = x, y, options.get("sample_weight")
        batch = keras.tree.map_structure(lambda a: None if a is None else a[:size], arrays)
    elif hasattr(x, "__next__"):
        batch = next(x)
        x = _chained(batch, x)
    else:
        batch = next(iter(x))
    batch = keras.utils.unpack_x_y_sample_weight(batch)
    return keras.tree.map_structure(lambda a: a if a is None or ops.is_tensor(a) else np.asarray(a), batch), x


def _chained(first, rest):
    """`itertools.chain([first], rest)` as a generator, the only iterator that Keras takes."""
    yield first
    yield from rest
