"""Figures: plain data in, a matplotlib figure out. Not imported by `import keras_lecture`."""

from keras_lecture.figures import experiments
from keras_lecture.figures.activations import activations
from keras_lecture.figures.batch_normalization import batch_normalization
from keras_lecture.figures.batch_size import batch_size
from keras_lecture.figures.confusion import confusion
from keras_lecture.figures.dropout import dropout
from keras_lecture.figures.learning_curves import learning_curves
from keras_lecture.figures.learning_rate_sweep import learning_rate_sweep
from keras_lecture.figures.race import race
from keras_lecture.figures.race_animation import race_animation
from keras_lecture.figures.rates import rates
from keras_lecture.figures.saturation import saturation
from keras_lecture.figures.schedules import schedules
from keras_lecture.figures.signals import signals
from keras_lecture.figures.zigzag import zigzag

__all__ = [
    "activations",
    "batch_normalization",
    "batch_size",
    "confusion",
    "dropout",
    "experiments",
    "learning_curves",
    "learning_rate_sweep",
    "race",
    "race_animation",
    "rates",
    "saturation",
    "schedules",
    "signals",
    "zigzag",
]
