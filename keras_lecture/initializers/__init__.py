"""Weight initialization: initializers, drawing the weights of a built model, and data-dependent rescaling."""

from keras_lecture.initializers.bilinear import Bilinear
from keras_lecture.initializers.constant import PositiveBias, Zeros
from keras_lecture.initializers.initialize import initialize
from keras_lecture.initializers.random import Gaussian, Kaiming, Xavier
from keras_lecture.initializers.rescale import rescale

__all__ = ["Bilinear", "Gaussian", "Kaiming", "PositiveBias", "Xavier", "Zeros", "initialize", "rescale"]
