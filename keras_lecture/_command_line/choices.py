"""The names that options accept: what is public in the package, in snake case."""

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


_OPTIMIZERS = _classes(optimizers, keras.optimizers.Optimizer)
AVERAGES = {name: unit for name, unit in _OPTIMIZERS.items() if "optimizer" in inspect.signature(unit).parameters}
OPTIMIZERS = {name: unit for name, unit in _OPTIMIZERS.items() if name not in AVERAGES and unit is not optimizers.Rule}
SCHEDULES = {
    name: unit
    for name, unit in _classes(optimizers.schedules, keras.optimizers.schedules.LearningRateSchedule).items()
    if "learning_rate" in inspect.signature(unit).parameters
}
LOSSES = _classes(losses, keras.losses.Loss)
AUGMENTATIONS = _classes(layers, Augmentation)
# Networks of scores for classes. The others make images, or need a trained network.
MODELS = {name: getattr(models, name) for name in models.__all__ if name not in ("fcn", "fine_tune")}
DATASETS = ("breast_cancer", "diabetes", "digits", "wine", "mnist", "fashion_mnist", "cifar10", "cifar100")
