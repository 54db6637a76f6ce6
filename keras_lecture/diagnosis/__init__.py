"""What a model and its loss are like: measured, judged, told."""

from keras_lecture.diagnosis.curvature import curvature
from keras_lecture.diagnosis.first_nonfinite import first_nonfinite

__all__ = ["curvature", "first_nonfinite"]
