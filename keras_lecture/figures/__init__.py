"""Figures: plain data in, a matplotlib figure out. Not imported by `import keras_lecture`."""

from keras_lecture.figures import experiments
from keras_lecture.figures.confusion import confusion
from keras_lecture.figures.learning_curves import learning_curves
from keras_lecture.figures.learning_rate_sweep import learning_rate_sweep
from keras_lecture.figures.losses import losses

__all__ = ["confusion", "experiments", "learning_curves", "learning_rate_sweep", "losses"]
