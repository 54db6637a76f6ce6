"""The experiments behind the figures: each runs the library itself and returns plain data."""

from keras_lecture.figures.experiments.activations import activations
from keras_lecture.figures.experiments.batch_normalization import batch_normalization
from keras_lecture.figures.experiments.dropout import dropout
from keras_lecture.figures.experiments.saturation import saturation
from keras_lecture.figures.experiments.signals import signals

__all__ = ["activations", "batch_normalization", "dropout", "saturation", "signals"]
