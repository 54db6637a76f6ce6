"""Forward and backward of each layer against Keras's class, the obvious `keras.ops` version and the framework's own.

KERAS_BACKEND=torch python tests/benchmarks/layers.py [case …]        (TensorFlow: XLA=1 compiles with XLA)
"""

import os
import sys

import keras
import numpy as np
from keras import ops
from measure import environment, interleaved, row

from keras_lecture import layers

BACKEND = keras.backend.backend()
XLA = bool(os.environ.get("XLA"))
IMAGES = (64, 32, 32, 32)


class Lambda(keras.Layer):
    """A function as a layer without weights."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def build(self, shape):
        pass

    def call(self, x):
        return self.function(x)

    def compute_output_shape(self, shape):
        return shape


def cases():
    """name → (input shape, our layer, {peer: layer}); peers: Keras, the obvious version, the framework's own."""
    k = keras.layers
    return {
        "BatchNormalization": (IMAGES, layers.BatchNormalization(), {"keras": k.BatchNormalization()}),
        "GroupNormalization(8)": (IMAGES, layers.GroupNormalization(8), {"keras": k.GroupNormalization(8)}),
        "InstanceNormalization": (
            IMAGES,
            layers.InstanceNormalization(),
            {"keras": k.GroupNormalization(-1), "obvious": Lambda(obvious_instance)},
        ),
        "LayerNormalization": ((4096, 768), layers.LayerNormalization(), {"keras": k.LayerNormalization()}),
        "MaxPooling2D(3, 2)": (IMAGES, layers.MaxPooling2D(3, 2), {"keras": k.MaxPooling2D(3, 2)}),
        "MaxPooling2D(2)": (IMAGES, layers.MaxPooling2D(2), {"keras": k.MaxPooling2D(2)}),
        "Dropout(0.3)": (IMAGES, layers.Dropout(0.3, seed=1), {"keras": k.Dropout(0.3, seed=1)}),
        "StochasticDepth(0.2)": (
            IMAGES,
            layers.StochasticDepth(0.2, seed=1),
            {"keras": k.Dropout(0.2, noise_shape=(None, 1, 1, 1), seed=1), "obvious": ObviousStochasticDepth(0.2)},
        ),
        "PReLU": (IMAGES, layers.PReLU(), {"keras": k.PReLU(shared_axes=[1, 2])}),
        "LocalResponseNormalization": (
            IMAGES,
            layers.LocalResponseNormalization(),
            {"obvious": Lambda(obvious_local_response), "framework": Lambda(native_local_response)},
        ),
        "WeightNormalization(Dense(512))": (
            (128, 512),
            layers.WeightNormalization(k.Dense(512)),
            {"obvious": ObviousWeightNorm(512), "framework": NATIVE_WEIGHT_NORM[BACKEND](512)},
        ),
        "Maxout(512, pieces=4)": ((128, 512), layers.Maxout(512, pieces=4), {"obvious": ObviousMaxout(512, 4)}),
    }


class ObviousStochasticDepth(keras.Layer):
    """A Bernoulli draw per sample, scaled, times the branch."""

    def __init__(self, rate):
        super().__init__()
        self.rate, self.seed_generator = rate, keras.random.SeedGenerator(1)

    def build(self, shape):
        pass

    def call(self, x, training=False):
        keep = keras.random.uniform((ops.shape(x)[0], 1, 1, 1), seed=self.seed_generator) >= self.rate
        return x * ops.cast(keep, x.dtype) / (1 - self.rate)

    def compute_output_shape(self, shape):
        return shape


class ObviousMaxout(keras.Layer):
    """A dense layer, a reshape with the pieces last, a maximum."""

    def __init__(self, units, pieces):
        super().__init__()
        self.dense, self.units, self.pieces = keras.layers.Dense(units * pieces), units, pieces

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return ops.max(ops.reshape(self.dense(x), (-1, self.units, self.pieces)), -1)

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.units)


class ObviousWeightNorm(keras.Layer):
    """A dense layer with its kernel g·v/‖v‖ in `keras.ops`."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shape):
        self.v = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform")
        self.g = self.add_weight(shape=(self.units,), initializer="ones")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, x):
        kernel = self.v * (self.g / ops.sqrt(ops.sum(ops.square(self.v), 0)))
        return ops.matmul(x, kernel) + self.bias

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.units)


class ScaledOutputs(ObviousWeightNorm):
    """g/‖v‖ applied to the outputs: less to multiply, but a pass over the batch."""

    def call(self, x):
        factor = self.g * ops.rsqrt(ops.sum(ops.square(self.v), 0))
        return ops.matmul(x, self.v) * factor + self.bias


class TorchWeightNorm(ObviousWeightNorm):
    """PyTorch's own kernel and its linear function, which wants the transposed kernel."""

    def call(self, x):
        import torch

        kernel = torch._weight_norm(self.v.value, self.g.value.view(1, -1), 1)
        return torch.addmm(self.bias.value, x, kernel)


# JAX and TensorFlow have none; there the other way to write it competes.
NATIVE_WEIGHT_NORM = {"torch": TorchWeightNorm, "jax": ScaledOutputs, "tensorflow": ScaledOutputs}


def obvious_instance(x):
    mean, variance = ops.moments(x, (1, 2), keepdims=True)
    return (x - mean) * ops.rsqrt(variance + 1e-3)


def obvious_local_response(x):
    squares = ops.pad(ops.square(x), [(0, 0)] * 3 + [(2, 2)])
    total = sum(squares[..., i : i + x.shape[-1]] for i in range(5))
    return x / ops.power(2.0 + 1e-4 * total, 0.75)


def native_local_response(x):
    if BACKEND == "torch":
        import torch

        moved = torch.nn.functional.local_response_norm(x.movedim(-1, 1), 5, alpha=5e-4, beta=0.75, k=2.0)
        return moved.movedim(1, -1)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.nn.local_response_normalization(x, 2, bias=2.0, alpha=1e-4, beta=0.75)
    # JAX has none; its windowed sum is what people write.
    import jax

    total = jax.lax.reduce_window(x * x, 0.0, jax.lax.add, (1, 1, 1, 5), (1, 1, 1, 1), "same")
    return x / (2.0 + 1e-4 * total) ** 0.75


def runner(layer, shape):
    """One training call forward and backward: output, new state, gradients of input and weights."""
    generator = np.random.default_rng(0)
    layer.build(shape)
    x = ops.convert_to_tensor(generator.normal(size=shape).astype("float32"))
    cotangent = generator.normal(size=layer.compute_output_shape(shape)).astype("float32")
    cotangent = ops.convert_to_tensor(cotangent)
    training = {"training": True} if "training" in layer._call_signature.parameters else {}
    return globals()[f"_{BACKEND}"](layer, x, cotangent, training)


def _torch(layer, x, cotangent, training):
    import torch

    x.requires_grad_()
    leaves = [x, *[v.value for v in layer.trainable_variables]]
    return lambda: torch.autograd.grad(layer(x, **training), leaves, cotangent)


def _jax(layer, x, cotangent, training):
    import jax

    state = [v.value for v in layer.trainable_variables]
    rest = [[v.value for v in layer.non_trainable_variables]]

    @jax.jit
    def step(state, rest, x, cotangent):
        y, pull, rest = jax.vjp(lambda s, x: layer.stateless_call(s, rest, x, **training), state, x, has_aux=True)
        return y, rest, pull(cotangent)

    def run():
        # The state moves on: a layer that starts from its first batch would start at every call.
        y, rest[0], gradients = jax.block_until_ready(step(state, rest[0], x, cotangent))
        return y, gradients

    return run


def _tensorflow(layer, x, cotangent, training):
    import tensorflow as tf

    leaves = [v.value for v in layer.trainable_variables]

    @tf.function(jit_compile=XLA)
    def step(x, cotangent):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, **training)
        return y, tape.gradient(y, [x, *leaves], output_gradients=cotangent)

    return lambda: step(x, cotangent)[0].numpy()


def main():
    print(f"{environment()}{', XLA' if XLA else ''}\n")
    peers = ("keras", "obvious", "framework")
    print(f"| forward + backward | ours, µs | {' | '.join(peers)} |\n|---|---:|{'---:|' * len(peers)}")
    chosen = sys.argv[1:]
    for name, (shape, ours, others) in cases().items():
        if chosen and not any(word in name for word in chosen):
            continue
        contenders = {"ours": runner(ours, shape), **{peer: runner(layer, shape) for peer, layer in others.items()}}
        times = interleaved(contenders, rounds=40, seconds=5.0)
        print(row(name, times, "ours", peers), flush=True)


if __name__ == "__main__":
    main()
