"""The experiments behind the figures: each runs the library itself and returns plain data."""

from keras_lecture.figures.experiments.batch_size import batch_size
from keras_lecture.figures.experiments.race import race
from keras_lecture.figures.experiments.rates import rates
from keras_lecture.figures.experiments.schedules import schedules
from keras_lecture.figures.experiments.zigzag import zigzag

__all__ = ["batch_size", "race", "rates", "schedules", "zigzag"]
