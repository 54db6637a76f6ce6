"""The lectures' networks as functional Keras models that return scores, and fine-tuning."""

from keras_lecture.models.alexnet import alexnet
from keras_lecture.models.all_conv import all_conv
from keras_lecture.models.densenet import densenet
from keras_lecture.models.fcn import fcn
from keras_lecture.models.fine_tune import fine_tune
from keras_lecture.models.mlp import mlp
from keras_lecture.models.residual import plain, resnet
from keras_lecture.models.vgg import vgg

__all__ = ["alexnet", "all_conv", "densenet", "fcn", "fine_tune", "mlp", "plain", "resnet", "vgg"]
