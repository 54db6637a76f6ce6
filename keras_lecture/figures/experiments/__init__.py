"""The experiments behind the figures: each runs the library itself and returns plain data."""

from keras_lecture.figures.experiments.activations import activations
from keras_lecture.figures.experiments.batch_normalization import batch_normalization
from keras_lecture.figures.experiments.batch_size import batch_size
from keras_lecture.figures.experiments.capacity import capacity
from keras_lecture.figures.experiments.decision_boundary import decision_boundary
from keras_lecture.figures.experiments.dropout import dropout
from keras_lecture.figures.experiments.learning_rates import learning_rates
from keras_lecture.figures.experiments.losses import losses
from keras_lecture.figures.experiments.race import race
from keras_lecture.figures.experiments.rates import rates
from keras_lecture.figures.experiments.saturation import saturation
from keras_lecture.figures.experiments.schedules import schedules
from keras_lecture.figures.experiments.signals import signals
from keras_lecture.figures.experiments.zigzag import zigzag

__all__ = [
    "activations",
    "batch_normalization",
    "batch_size",
    "capacity",
    "decision_boundary",
    "dropout",
    "learning_rates",
    "losses",
    "race",
    "rates",
    "saturation",
    "schedules",
    "signals",
    "zigzag",
]
