"""The wrappers that compute with a derived kernel, called by several threads."""

import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from support.harness import assert_close, numpy

from keras_lecture.layers import DropConnect, WeightNormalization

X = np.random.default_rng(0).normal(2.0, 3.0, size=(16, 4)).astype("float32")


class Slow(keras.layers.Dense):
    """Gives the other threads time to begin their calls in the middle of this one."""

    def call(self, inputs, training=None):
        time.sleep(0.01)
        return super().call(inputs, training=training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("wrap", [WeightNormalization, lambda layer: DropConnect(layer, rate=0.5)])
def test_threads_that_call_the_same_layer_do_not_mix_up_its_kernels(wrap, training):
    """In a server with four threads, nearly all outputs of `WeightNormalization` were silently wrong, for good.

    Each thread put the derived kernel and bias in the place of the weights and restored what it had found, which was
    the kernel of another thread. The last one stayed in the layer, was saved, and the initial bias was added again in
    each call. `DropConnect` had the same fault in training mode, as in Monte Carlo dropout.
    """
    layer = wrap(Slow(3))
    layer(X, training=True)
    kernel, bias, expected = layer.layer.kernel, layer.layer.bias, numpy(layer(X))
    with ThreadPoolExecutor(4) as threads:
        outputs = list(threads.map(lambda _: numpy(layer(X, training=training)), range(12)))
    if not training or isinstance(layer, WeightNormalization):
        for output in outputs:
            assert_close(output, expected)
    assert layer.layer.kernel is kernel and layer.layer.bias is bias
    assert_close(layer(X), expected)
