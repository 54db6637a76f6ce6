"""Diagnosis of models and training runs.

What is wrong with it and which cure there is (`audit`, `report`, `prescribe`), what flows through it (`signals`,
`gradient_check`, `curvature`, `first_nonfinite`), and where two runs of it part (`divergence`).
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
