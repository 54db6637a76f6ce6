"""Diagnosis of a model on a batch: audit, signals and gradients, curvature, and the origin of infinities and NaN."""

from keras_lecture.diagnosis.audit import audit
from keras_lecture.diagnosis.curvature import curvature
from keras_lecture.diagnosis.first_nonfinite import first_nonfinite
from keras_lecture.diagnosis.gradient_check import gradient_check
from keras_lecture.diagnosis.report import report
from keras_lecture.diagnosis.signals import signals

__all__ = ["audit", "curvature", "first_nonfinite", "gradient_check", "report", "signals"]
