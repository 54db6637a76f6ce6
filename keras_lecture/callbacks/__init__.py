"""Callbacks for `model.fit(callbacks=…)`: what Keras's own cannot see or do."""

from keras_lecture.callbacks.early_stopping import EarlyStopping
from keras_lecture.callbacks.gradient_clipping import GradientClipping
from keras_lecture.callbacks.gradient_monitor import GradientMonitor

__all__ = ["EarlyStopping", "GradientClipping", "GradientMonitor"]
