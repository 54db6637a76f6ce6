"""The experiments behind the figures: each runs the library itself and returns plain data."""

from keras_lecture.figures.experiments.activations import activations
from keras_lecture.figures.experiments.saturation import saturation
from keras_lecture.figures.experiments.signals import signals

__all__ = ["activations", "saturation", "signals"]
