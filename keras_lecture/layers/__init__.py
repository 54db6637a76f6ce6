"""Layers."""

from keras_lecture.layers.augmentation.crops import RandomCropFlip, TenCrop, ten_crop_average
from keras_lecture.layers.augmentation.jitter import Jitter
from keras_lecture.layers.augmentation.pca_color import PCAColor
from keras_lecture.layers.augmentation.random_affine import RandomAffine
from keras_lecture.layers.augmentation.zero_center import ZeroCenter
from keras_lecture.layers.blocks.atrous_spatial_pyramid_pooling import AtrousSpatialPyramidPooling
from keras_lecture.layers.blocks.dense_block import DenseBlock, TransitionBlock
from keras_lecture.layers.blocks.residual_block import ResidualBlock
from keras_lecture.layers.dropping.drop_connect import DropConnect
from keras_lecture.layers.dropping.dropout import Dropout
from keras_lecture.layers.dropping.stochastic_depth import StochasticDepth
from keras_lecture.layers.max_pooling import MaxPooling1D, MaxPooling2D, MaxPooling3D
from keras_lecture.layers.maxout import Maxout, MaxoutConv2D
from keras_lecture.layers.normalization.batch_normalization import BatchNormalization
from keras_lecture.layers.normalization.group_normalization import GroupNormalization, InstanceNormalization
from keras_lecture.layers.normalization.layer_normalization import LayerNormalization
from keras_lecture.layers.normalization.local_contrast_normalization import LocalContrastNormalization
from keras_lecture.layers.normalization.local_response_normalization import LocalResponseNormalization
from keras_lecture.layers.normalization.recalibrate import recalibrate
from keras_lecture.layers.normalization.weight_normalization import WeightNormalization
from keras_lecture.layers.prelu import PReLU
from keras_lecture.layers.upscale import Upscale2D

__all__ = [
    "AtrousSpatialPyramidPooling",
    "BatchNormalization",
    "DenseBlock",
    "DropConnect",
    "Dropout",
    "GroupNormalization",
    "InstanceNormalization",
    "Jitter",
    "LayerNormalization",
    "LocalContrastNormalization",
    "LocalResponseNormalization",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maxout",
    "MaxoutConv2D",
    "PCAColor",
    "PReLU",
    "RandomAffine",
    "RandomCropFlip",
    "ResidualBlock",
    "StochasticDepth",
    "TenCrop",
    "TransitionBlock",
    "Upscale2D",
    "WeightNormalization",
    "ZeroCenter",
    "recalibrate",
    "ten_crop_average",
]
