"""Figures: plain data in, a matplotlib figure out. Not imported by `import keras_lecture`."""

from keras_lecture.figures import experiments
from keras_lecture.figures.activations import activations
from keras_lecture.figures.batch_normalization import batch_normalization
from keras_lecture.figures.confusion import confusion
from keras_lecture.figures.dropout import dropout
from keras_lecture.figures.learning_curves import learning_curves
from keras_lecture.figures.learning_rate_sweep import learning_rate_sweep
from keras_lecture.figures.saturation import saturation
from keras_lecture.figures.signals import signals

__all__ = [
    "activations",
    "batch_normalization",
    "confusion",
    "dropout",
    "experiments",
    "learning_curves",
    "learning_rate_sweep",
    "saturation",
    "signals",
]
