"""Diagnosis of models and training runs.

The faults of a run and their cures (`audit`, `report`, `prescribe`), the signals and gradients of a model (`signals`,
`gradient_check`, `curvature`, `first_nonfinite`), and the layer where two runs part (`divergence`).
"""

from keras_lecture.diagnosis import divergence
from keras_lecture.diagnosis.audit import audit
from keras_lecture.diagnosis.curvature import curvature
from keras_lecture.diagnosis.first_nonfinite import first_nonfinite
from keras_lecture.diagnosis.gradient_check import gradient_check
from keras_lecture.diagnosis.prescribe import prescribe
from keras_lecture.diagnosis.report import report
from keras_lecture.diagnosis.signals import signals

__all__ = [
    "audit",
    "curvature",
    "divergence",
    "first_nonfinite",
    "gradient_check",
    "prescribe",
    "report",
    "signals",
]
