"""The experiments behind the figures: each runs the library itself and returns plain data."""

from keras_lecture.figures.experiments.losses import losses

__all__ = ["losses"]
