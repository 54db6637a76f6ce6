"""The choices of each option that takes a name: the public names of the package in snake case."""

import inspect
import re

import keras

from keras_lecture import layers, losses, models, optimizers
from keras_lecture.layers.augmentation._preparation import Augmentation


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _classes(module, kind) -> dict:
    units = {name: getattr(module, name) for name in module.__all__}
    return {_snake(name): unit for name, unit in units.items() if inspect.isclass(unit) and issubclass(unit, kind)}


def _takes(unit, argument) -> bool:
    return argument in inspect.signature(unit).parameters


_OPTIMIZERS = _classes(optimizers, keras.optimizers.Optimizer)
_SCHEDULES = _classes(optimizers.schedules, keras.optimizers.schedules.LearningRateSchedule)
_AVERAGES = {name: unit for name, unit in _OPTIMIZERS.items() if _takes(unit, "optimizer")}
CHOICES = {
    "--dataset": ("breast_cancer", "diabetes", "digits", "wine", "mnist", "fashion_mnist", "cifar10", "cifar100"),
    # Classifiers only: `fcn` segments images, and `fine_tune` needs a trained model.
    "--model": {name: getattr(models, name) for name in models.__all__ if name not in ("fcn", "fine_tune")},
    "--augment": _classes(layers, Augmentation),
    "--loss": _classes(losses, keras.losses.Loss),
    "--optimizer": {
        name: unit for name, unit in _OPTIMIZERS.items() if name not in _AVERAGES and unit is not optimizers.Rule
    },
    "--schedule": {name: unit for name, unit in _SCHEDULES.items() if _takes(unit, "learning_rate")},
    "--average": _AVERAGES,
}
