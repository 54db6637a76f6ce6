"""`ReduceLearningRate`: lowers the learning rate when a number stops improving."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._training.chain import is_fixed
from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.running_fit import callback_list, fit_variables
from keras_lecture.callbacks._rates.reduced_rate import RateFactor
from keras_lecture.callbacks._watch.monitoring import Monitoring, say


@register
class ReduceLearningRate(Monitoring):
    """Lowers the learning rate each time a monitored number stops improving.

    Use it when the length of a run is not known beforehand: where the loss stalls, steps are too long for the valley
    they are in. Free with a fixed rate; with a schedule, the train step is compiled again at the beginning of each
    `fit`, but not when the rate is reduced.

        η ← max(η·factor, min_lr)            a fixed rate
        η(k) ← c·s(k),   c ← c·max(factor, min_lr/η(k))      on a schedule s

    η the learning rate, k the step; lowered after `patience` epochs in a row without a new best, where η > `min_lr`.
    A constant schedule is reduced like a fixed rate.

    The rate stays reduced after `fit`, as a fixed rate does in Keras, and a model saved with a reduced schedule loads
    with it. A further `fit` resets the counters and continues from that rate.

    Args:
        monitor: Name of the number in the logs. Defaults to `"val_loss"`.
        factor: Factor of each reduction, in [0, 1). Defaults to `0.1`.
        patience: Epochs without improvement after which the rate is reduced. Defaults to `10`.
        verbose: `1` reports each reduction. Defaults to `0`.
        mode: `"min"`, `"max"`, or `"auto"`: the direction of the metric. Defaults to `"auto"`.
        min_delta: Smallest improvement that counts: a number, or a fraction of the best value so far, as in `"1%"`.
            Defaults to `1e-4`.
        cooldown: Number of epochs to ignore after a reduction. Defaults to `0`.
        min_lr: Lower bound of the reduced rate. Defaults to `0.0`.
        every: Number of training steps between validations on the `validation_data` of `fit`, used instead of the ends
            of epochs; `patience` and `cooldown` then count these validations. Defaults to `None`.
        smoothing: β of an exponential average that is monitored in place of the number, see `EarlyStopping`. Defaults
            to `0.0`.

    Example:
        >>> schedule = keras_lecture.optimizers.schedules.Exponential(0.1, factor=0.5, period=2)
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(schedule), loss="mse")
        >>> reduce = keras_lecture.callbacks.ReduceLearningRate("loss", patience=1, min_delta=9.0)
        >>> history = model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=4, verbose=0, callbacks=[reduce]).history
        >>> [round(rate, 6) for rate in history["learning_rate"]]
        [0.1, 0.05, 0.005, 0.00025]

    Reference:
        Deck B ("lower η when the validation metric stalls"). As `keras.callbacks.ReduceLROnPlateau`, which rejects
        schedules, acts only at the ends of epochs, and only warns about a `monitor` that does not exist: here that is
        an error after the first epoch. The logged `learning_rate` is that at the end of the epoch, before a reduction.
        With `every`, training metrics are means over the epoch so far. A schedule may itself fall below `min_lr`. Under
        `tf.distribute` with several replicas a schedule cannot be reduced.
    """

    remembered: tuple[str, ...] = ("best", "wait", "cooldown_counter", "steps")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float | str = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        *,
        every: int | None = None,
        smoothing: float = 0.0,
    ) -> None:
        owner = type(self).__name__
        checks.number(owner, "factor", factor, "[0, 1)")
        checks.whole(owner, "patience", patience, "[0, ∞)")
        checks.one_of(owner, "verbose", verbose, (0, 1, False, True))
        checks.whole(owner, "cooldown", cooldown, "[0, ∞)")
        checks.number(owner, "min_lr", min_lr, "[0, ∞)")
        if every is not None:
            checks.whole(owner, "every", every, "[1, ∞)", "Leave it out to check at the end of each epoch.")
        super().__init__(monitor, mode, min_delta, smoothing)
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.every = every
        self._factors, self._runs = {}, []
        self._validation = None
        if every is not None:
            # Not methods of the class: Keras waits for each batch if a callback has an `on_train_batch_end`.
            self.on_train_batch_begin = self._begin_step
            self.on_train_batch_end = self._end_step
        self.reset()

    def reset(self) -> None:
        self.cooldown_counter = self.steps = 0
        super().reset()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        factors = {name: value for name, value in self._restored.items() if name.startswith("factor_")}
        super().on_train_begin(logs)
        self._factors = {id(o): RateFactor(o) for o in self._optimizers() if not is_fixed(o)}
        if self._factors:
            self._check_replicas()
            run = pipeline_of(self._model).open(callback_list())
        for index, factor in enumerate(self._factors.values()):
            factor.factor = float(factors.get(f"factor_{index}", factor.factor))
            factor.begin()
            run.add(factor)
            self._runs.append((run, factor))
        if self.every is not None and self.monitor.startswith("val_"):
            self._validation = self._validation_arguments()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs if logs is not None else {}
        optimizers = self._optimizers()
        for optimizer in optimizers:
            name = "learning_rate" if len(optimizers) == 1 else f"learning_rate_{optimizer.name}"
            logs[name] = _rate(optimizer)
        if self.every is None:
            self._judge(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._validation = None
        for run, factor in self._runs:
            factor.end()
            run.remove(factor)
        self._runs = []

    def _check_replicas(self):
        strategy = getattr(self._model, "distribute_strategy", None)
        if strategy is not None and strategy.num_replicas_in_sync > 1:
            raise ValueError(
                f"ReduceLearningRate: the schedule of {self._model.name!r} cannot be reduced under `tf.distribute` "
                "with several replicas. Give the optimizer a fixed learning rate."
            )

    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def _judge(self, epoch, logs):
        value = self.find(logs)
        if value is None:
            return
        value = self.smoothed(value)
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and any([self._reduce(o, epoch) for o in self._optimizers()]):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, optimizer, epoch) -> bool:
        """Reduces the rate of `optimizer` if it is above `min_lr`; returns whether it did."""
        old = _rate(optimizer)
        if not old > np.float32(self.min_lr):
            return False
        new = max(old * self.factor, self.min_lr)
        if id(optimizer) in self._factors:
            self._factors[id(optimizer)].factor *= max(self.factor, self.min_lr / old)
        else:
            optimizer.learning_rate = new
        if self.verbose:
            which = f" {optimizer.name}" if len(self._optimizers()) > 1 else ""
            say(f"\nEpoch {epoch + 1}: {type(self).__name__} reducing{which} learning rate to {new}.")
        return True

    def _optimizers(self) -> list:
        """The optimizer, or the parts of a Keras MultiOptimizer, which it may create only when it is built."""
        optimizer = self.model.optimizer
        if hasattr(optimizer, "optimizers") and self._model.built:
            optimizer.build(self._model.trainable_variables)
        return list(getattr(optimizer, "optimizers", [optimizer]))

    def _begin_step(self, batch, logs=None):
        self._first = batch

    def _end_step(self, batch, logs=None):
        self.steps += batch - self._first + 1
        if self.steps >= self.every:
            self.steps = 0
            self._judge(self._epoch, logs if self._validation is None else self._validate())

    def _validation_arguments(self):
        fit = fit_variables()
        if fit.get("validation_data") is None:
            remedy = "Pass `validation_data` to `fit`, or monitor a training metric."
            checks.reject(type(self).__name__, "every", "None without validation data", self.every, remedy)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(fit["validation_data"])
        size = fit.get("validation_batch_size") or fit.get("batch_size")
        steps = fit.get("validation_steps")
        return {"x": x, "y": y, "sample_weight": sample_weight, "batch_size": size, "steps": steps}

    def _validate(self):
        """The validation logs; the running metrics and the training mode of the epoch are kept."""
        model = self.model
        running = [np.array(ops.convert_to_numpy(variable)) for variable in model.metrics_variables]
        logs = model.evaluate(**self._validation, verbose=0, return_dict=True)
        for variable, value in zip(model.metrics_variables, running, strict=True):
            variable.assign(value)
        if hasattr(model, "train"):
            # On PyTorch `evaluate` switches the module to evaluation mode.
            model.train()
        return {f"val_{name}": value for name, value in logs.items()}

    def state(self) -> dict[str, np.ndarray]:
        state = super().state()
        if not self._restored:
            state |= {f"factor_{i}": np.array(f.factor) for i, f in enumerate(self._factors.values())}
        return state

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "factor": self.factor,
            "patience": self.patience,
            "verbose": self.verbose,
            "cooldown": self.cooldown,
            "min_lr": self.min_lr,
            "every": self.every,
        }


def _rate(optimizer) -> float:
    return float(ops.convert_to_numpy(optimizer.learning_rate))
