"""Data-dependent initialization unit by unit: each sum of a hidden unit gets mean 0 and variance 1 on a batch."""

import contextlib
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core.replacement import replaced
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts.calls import channel_axis

_KERNELS = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def standardize(model: keras.Model, x: Any, outputs: set[str]) -> int:
    """Standardizes the units of all hidden dense and convolution layers with a bias; the number of layers.

    w ← w/σ, b ← (b − μ)/σ, with μ and σ of wᵀx + b over the samples and positions, layer by layer. Where a layer's
    outputs are never centered, as those of a sigmoid, the variance over the samples shrinks from layer to layer, which
    one factor per layer (`initializers.rescale`) cannot mend (Krähenbühl et al., 2016, arXiv:1511.06856).
    """
    chosen = [
        layer
        for layer in layers(model)
        if type(layer) in _KERNELS and layer.use_bias and layer.name not in outputs and layer.trainable
    ]
    with contextlib.ExitStack() as wrapped:
        for layer in chosen:
            wrapped.enter_context(replaced([(layer, "call", _standardizing(layer))]))
        model(x, training=False)
    return len(chosen)


def _standardizing(layer):
    call, done = layer.call, []

    def standardizing_call(*args, **kwargs):
        if not done:
            done.append(True)
            with replaced([(layer, "activation", keras.activations.linear)]):
                sums = np.asarray(ops.convert_to_numpy(call(*args, **kwargs))).astype("float64")
            sums = np.moveaxis(sums, channel_axis(layer, sums.ndim), -1).reshape(-1, layer.bias.shape[0])
            mean, spread = sums.mean(axis=0), sums.std(axis=0)
            # Rounding alone gives a spread of this size.
            varies = np.isfinite(spread) & (spread > 1e-6 * np.abs(mean))
            mean, spread = np.where(varies, mean, 0.0), np.where(varies, spread, 1.0)
            _assign(layer.kernel, np.array(ops.convert_to_numpy(layer.kernel)) / spread)
            _assign(layer.bias, (np.array(ops.convert_to_numpy(layer.bias)) - mean) / spread)
        return keras.tree.map_structure(ops.stop_gradient, call(*args, **kwargs))

    return standardizing_call


def _assign(variable, value):
    # Inside a mixed-precision layer, PyTorch (Keras 3.15) would assign to the half-precision copy, without effect.
    keras.layers.Lambda(variable.assign, autocast=False, name="assign")(value)
