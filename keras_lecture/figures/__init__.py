"""Figures: plain data in, a matplotlib figure out. Not imported by `import keras_lecture`."""

from keras_lecture.figures.confusion import confusion
from keras_lecture.figures.learning_curves import learning_curves
from keras_lecture.figures.learning_rates import learning_rates

__all__ = ["confusion", "learning_curves", "learning_rates"]
