"""Diagnosis of a model on a batch: curvature of the loss, and the origin of infinities and NaN."""

from keras_lecture.diagnosis.curvature import curvature
from keras_lecture.diagnosis.first_nonfinite import first_nonfinite

__all__ = ["curvature", "first_nonfinite"]
