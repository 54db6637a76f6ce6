"""Callbacks for `model.fit`: the doctor, gradients, stopping, learning rates, averages, and exact resuming."""

from keras_lecture.callbacks.average_model_checkpoint import AverageModelCheckpoint
from keras_lecture.callbacks.doctor import Doctor
from keras_lecture.callbacks.early_stopping import EarlyStopping
from keras_lecture.callbacks.exact_resume import ExactResume
from keras_lecture.callbacks.gradient_clipping import GradientClipping
from keras_lecture.callbacks.gradient_monitor import GradientMonitor
from keras_lecture.callbacks.learning_rate_finder import LearningRateFinder, find_learning_rate
from keras_lecture.callbacks.reduce_learning_rate import ReduceLearningRate
from keras_lecture.callbacks.terminate_on_nonfinite import TerminateOnNonFinite
from keras_lecture.callbacks.time_stopping import TimeStopping

__all__ = [
    "AverageModelCheckpoint",
    "Doctor",
    "EarlyStopping",
    "ExactResume",
    "GradientClipping",
    "GradientMonitor",
    "LearningRateFinder",
    "ReduceLearningRate",
    "TerminateOnNonFinite",
    "TimeStopping",
    "find_learning_rate",
]
