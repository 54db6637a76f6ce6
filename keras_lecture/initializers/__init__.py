"""How weights start: the rules that keep a signal's variance, those that do not, and rescaling by data."""

from keras_lecture.initializers.bilinear import Bilinear
from keras_lecture.initializers.constant import PositiveBias, Zeros
from keras_lecture.initializers.initialize import initialize
from keras_lecture.initializers.random import Gaussian, Kaiming, Xavier
from keras_lecture.initializers.rescale import rescale

__all__ = ["Bilinear", "Gaussian", "Kaiming", "PositiveBias", "Xavier", "Zeros", "initialize", "rescale"]
