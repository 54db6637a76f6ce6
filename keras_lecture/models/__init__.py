"""Networks of the lectures, as functional Keras models that return scores."""

from keras_lecture.models.all_conv import all_conv
from keras_lecture.models.mlp import mlp
from keras_lecture.models.residual import plain, resnet

__all__ = ["all_conv", "mlp", "plain", "resnet"]
