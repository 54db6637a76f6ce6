"""Builds the data, the model and its optimizer from the options."""

import inspect
import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_lecture import data, layers, losses
from keras_lecture._command_line.endings import OWNER
from keras_lecture._command_line.settings import chosen, named
from keras_lecture._core import checks
from keras_lecture.optimizers import schedules
from keras_lecture.optimizers._search.closure import Closure

PARTS = ("training", "validation", "test")
_OF_CLASSES = (losses.SoftmaxCrossEntropy, losses.MulticlassHinge)
_OF_NUMBERS = (losses.L1, losses.L2)

_OF_KERAS = {
    **dict.fromkeys(("clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor"), "(0, ∞)"),
    "ema_momentum": "[0, 1]",
}


@dataclass(frozen=True)
class Task:
    """The learning task: its loss, the number of model outputs, and the class names in a classification."""

    loss: keras.losses.Loss
    outputs: int
    classes: tuple[str, ...] | None

    @property
    def metrics(self) -> list:
        if self.classes is None:
            return []
        if self.outputs == 1:
            return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)]
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """The predicted classes."""
        return (scores[:, 0] > 0).astype(int) if self.outputs == 1 else np.argmax(scores, axis=-1)


@dataclass(frozen=True)
class Experiment:
    """A compiled model, its task, the three parts of the data, and the training part in batches."""

    model: keras.Model
    task: Task
    parts: dict[str, tuple[Any, np.ndarray]]
    batches: keras.utils.PyDataset

    @property
    def parameters(self) -> int:
        """The number of trainable parameters."""
        return sum(math.prod(variable.shape) for variable in self.model.trainable_variables)


def experiment(arguments) -> Experiment:
    """Builds the experiment; a `ValueError` or `TypeError` names the option that is wrong."""
    # The largest seed that NumPy accepts.
    checks.whole(OWNER, "--seed", arguments.seed, "[0, 4294967295]")
    checks.whole(OWNER, "--batch-size", arguments.batch_size)
    keras.utils.set_random_seed(arguments.seed)
    loaded = data.load(chosen("--dataset", arguments.dataset))
    task = _task(arguments, loaded)
    parts = _parts(arguments, loaded)
    batches = data.Batches(*parts["training"], batch_size=arguments.batch_size, seed=arguments.seed)
    model = _model(arguments, parts["training"][0], task)
    model.compile(_optimizer(arguments, model, len(batches)), loss=task.loss, metrics=task.metrics)
    return Experiment(model, task, parts, batches)


def _parts(arguments, loaded) -> dict:
    """Splits the data into training, validation and test parts; a published test set is kept as the test part."""
    fractions, rest = arguments.fractions, len(loaded.y) - loaded.test
    if loaded.test:
        learning = sum(fractions[:2])
        checks.number(OWNER, "--fractions", learning, "(0, 1]", "It is the sum of the first two fractions.")
        fractions = [fraction / learning for fraction in fractions[:2]]
    parts = data.split(loaded.x[:rest], loaded.y[:rest], fractions=fractions, seed=arguments.seed)
    if loaded.test:
        parts = (*parts, (loaded.x[rest:], loaded.y[rest:]))
    return dict(zip(PARTS, parts, strict=True))


def _task(arguments, loaded) -> Task:
    classes = loaded.classes
    default = ["l2"] if classes is None else ["softmax_cross_entropy"]
    cls, settings = named("--loss", arguments.loss or default)
    loss = cls(**settings)
    if loss.reduction in (None, "none"):
        checks.reject(f"--loss {arguments.loss[0]}", "reduction", "one that returns a single number", loss.reduction)
    if isinstance(loss, _OF_NUMBERS) != (classes is None):
        fitting = "l1 or l2" if classes is None else "a classification loss"
        kind = "numbers" if classes is None else "classes"
        checks.reject(OWNER, "--loss", fitting, arguments.loss[0], f"The targets of {arguments.dataset} are {kind}.")
    if classes is None:
        return Task(loss, 1, None)
    if isinstance(loss, _OF_CLASSES):
        return Task(loss, len(classes), classes)
    if len(classes) != 2:
        remedy = f"{arguments.dataset} has more than two classes."
        checks.reject(OWNER, "--loss", "softmax_cross_entropy or multiclass_hinge", arguments.loss[0], remedy)
    return Task(loss, 1, classes)


def _model(arguments, x, task):
    """Augmentation, standardization and the network in one model, so that the saved model takes raw inputs."""
    build, settings = named("--model", arguments.model, taken=("input_shape", "classes"))
    changes = [named("--augment", words, taken=("data_format",)) for words in arguments.augment or []]
    center = layers.ZeroCenter(unit_variance=True)
    center.adapt(x)
    model = keras.Sequential([keras.Input(x.shape[1:])], name=arguments.dataset)
    for layer in (*(_augmentation(cls, options, x) for cls, options in changes), center):
        model.add(layer)
    # An augmentation may crop the images.
    model.add(build(input_shape=model.output_shape[1:], classes=task.outputs, **settings))
    return model


def _augmentation(cls, options, x):
    if "value_range" in inspect.signature(cls).parameters:
        # The range of the images from `data.load`.
        options = {"value_range": (0, 1), **options}
    layer = cls(**options)
    if hasattr(layer, "adapt") and "eigenvalues" not in options:
        layer.adapt(x)
    return layer


def _optimizer(arguments, model, steps):
    cls, settings = named("--optimizer", arguments.optimizer, taken=("learning_rate",))
    if issubclass(cls, Closure):
        _check_alone(arguments)
    own = inspect.signature(cls).parameters["learning_rate"].default
    rate = own if arguments.learning_rate is None else arguments.learning_rate
    checks.number(OWNER, "--learning-rate", rate, "(0, ∞)")
    _check_keras(f"--optimizer {arguments.optimizer[0]}", settings)
    optimizer = cls(_scheduled(arguments, rate, steps), **settings)
    if hasattr(optimizer, "bind"):
        optimizer.bind(model)
    if arguments.average is None:
        return optimizer
    around, settings = named("--average", arguments.average, taken=("optimizer",))
    average = around(optimizer, **settings)
    if getattr(average, "start", 1) > arguments.epochs:
        checks.reject("--average", "start", f"at most {arguments.epochs}, the number of epochs", average.start)
    return average.per_epoch(steps) if hasattr(average, "per_epoch") else average


def _check_keras(owner, settings):
    """Checks the optimizer arguments that Keras itself checks only during training, or not at all."""
    for name, interval in _OF_KERAS.items():
        if settings.get(name) is not None:
            checks.number(owner, name, settings[name], interval)
    if settings.get("gradient_accumulation_steps") is not None:
        checks.whole(owner, "gradient_accumulation_steps", settings["gradient_accumulation_steps"], "[2, ∞)")
    checks.boolean(owner, "use_ema", settings.get("use_ema", False))


def _check_alone(arguments):
    for option in ("schedule", "warmup", "average"):
        given = vars(arguments)[option]
        if given is not None:
            fitting = f"left out with --optimizer {arguments.optimizer[0]}"
            checks.reject(OWNER, f"--{option}", fitting, given, "It determines its own step size.")


def _scheduled(arguments, rate, steps):
    if arguments.schedule is None and arguments.warmup is None:
        return rate
    schedule = rate
    if arguments.schedule:
        # One decay over all epochs by default.
        required = {"period": arguments.epochs}
        of, settings = named("--schedule", arguments.schedule, taken=("learning_rate",), required=required)
        schedule = of(rate, **settings).per_epoch(steps)
    if arguments.warmup is not None:
        checks.number(OWNER, "--warmup", arguments.warmup, "(0, ∞)")
        schedule = schedules.Warmup(schedule, length=arguments.warmup * steps)
    return schedule
