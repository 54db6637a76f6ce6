"""Figures: plain data in, a matplotlib figure out. Not imported by `import keras_lecture`."""

from keras_lecture.figures import experiments
from keras_lecture.figures.batch_size import batch_size
from keras_lecture.figures.confusion import confusion
from keras_lecture.figures.learning_curves import learning_curves
from keras_lecture.figures.learning_rate_sweep import learning_rate_sweep
from keras_lecture.figures.race import race
from keras_lecture.figures.race_animation import race_animation
from keras_lecture.figures.rates import rates
from keras_lecture.figures.schedules import schedules
from keras_lecture.figures.zigzag import zigzag

__all__ = [
    "batch_size",
    "confusion",
    "experiments",
    "learning_curves",
    "learning_rate_sweep",
    "race",
    "race_animation",
    "rates",
    "schedules",
    "zigzag",
]
