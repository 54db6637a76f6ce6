"""The experiments behind the figures: each runs the library itself and returns plain data."""

from keras_lecture.figures.experiments.capacity import capacity
from keras_lecture.figures.experiments.decision_boundary import decision_boundary
from keras_lecture.figures.experiments.learning_rates import learning_rates
from keras_lecture.figures.experiments.losses import losses

__all__ = ["capacity", "decision_boundary", "learning_rates", "losses"]
