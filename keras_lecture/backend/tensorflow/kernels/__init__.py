"""Kernels on TensorFlow."""

from keras_lecture.backend.tensorflow.kernels.activations import rectified

__all__ = ["rectified"]
