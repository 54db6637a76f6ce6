"""Figures: plain data in, a matplotlib figure out. Not imported by `import keras_lecture`."""

from keras_lecture.figures import experiments
from keras_lecture.figures.activations import activations
from keras_lecture.figures.batch_normalization import batch_normalization
from keras_lecture.figures.batch_size import batch_size
from keras_lecture.figures.capacity import capacity
from keras_lecture.figures.confusion import confusion
from keras_lecture.figures.decision_boundary import decision_boundary
from keras_lecture.figures.dropout import dropout
from keras_lecture.figures.learning_curves import learning_curves
from keras_lecture.figures.learning_rate_sweep import learning_rate_sweep
from keras_lecture.figures.learning_rates import learning_rates
from keras_lecture.figures.losses import losses
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
    "capacity",
    "confusion",
    "decision_boundary",
    "dropout",
    "experiments",
    "learning_curves",
    "learning_rate_sweep",
    "learning_rates",
    "losses",
    "race",
    "race_animation",
    "rates",
    "saturation",
    "schedules",
    "signals",
    "zigzag",
]
