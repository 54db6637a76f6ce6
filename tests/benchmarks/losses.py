"""Each loss and activation, forward and backward, against Keras's own, the obvious version and the framework's.

    KERAS_BACKEND=torch python tests/benchmarks/losses.py [name …]

Prints a Markdown table: our microseconds, and for each peer how many times ours it takes (above 1: we are faster).
"""

import sys

import keras
import numpy as np
from keras import ops
from measure import environment, interleaved, row

from keras_lecture import activations, losses

BACKEND = keras.backend.backend()
SIZES = {"small": (128, 10), "large": (4096, 1000)}
PEERS = ("keras", "obvious", "native")
RNG = np.random.default_rng(0)


if BACKEND == "torch":
    import torch
    from torch.nn import functional

    def step(f, x, y):
        """A function that runs `f(y, x)` forward and backward once."""
        x = torch.tensor(x, requires_grad=True)
        y = torch.as_tensor(y)

        def run():
            x.grad = None
            f(y, x).backward()

        return run

    NATIVE = {
        "SoftmaxCrossEntropy": lambda y, s: functional.cross_entropy(s, y),
        "BinaryCrossEntropy": lambda y, s: functional.binary_cross_entropy_with_logits(s, y),
        "MulticlassHinge": lambda y, s: functional.multi_margin_loss(s, y) * s.shape[-1],
        "L1": lambda y, f: functional.l1_loss(f, y) * f.shape[-1],
        "L2": lambda y, f: functional.mse_loss(f, y) * f.shape[-1],
        "leaky_relu": lambda x: functional.leaky_relu(x, 0.1),
        **{name: getattr(functional, name) for name in ("relu", "elu", "softsign")},
        **{name: getattr(torch, name) for name in ("sigmoid", "tanh")},
        "maxout": lambda x: x.unflatten(-1, (2, -1)).amax(-2),
    }
elif BACKEND == "jax":
    import jax
    import optax

    def step(f, x, y):
        x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
        evaluate = jax.jit(jax.value_and_grad(lambda x, y: f(y, x)))
        return lambda: jax.block_until_ready(evaluate(x, y))

    NATIVE = {
        "SoftmaxCrossEntropy": lambda y, s: optax.softmax_cross_entropy_with_integer_labels(s, y).mean(),
        "BinaryCrossEntropy": lambda y, s: optax.sigmoid_binary_cross_entropy(s, y).mean(),
        "L2": lambda y, f: optax.squared_error(f, y).sum(-1).mean(),
        **{name: getattr(jax.nn, name) for name in ("sigmoid", "tanh", "relu", "elu")},
        "softsign": jax.nn.soft_sign,
        "leaky_relu": lambda x: jax.nn.leaky_relu(x, 0.1),
        "maxout": lambda x: x.reshape(x.shape[0], 2, -1).max(axis=1),
    }
else:
    import tensorflow as tf

    def step(f, x, y):
        x, y = tf.constant(x), tf.constant(y)

        # The trainer of Keras compiles its step like this on a CPU.
        @tf.function(autograph=False)
        def evaluate(x, y):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = f(y, x)
            return loss, tape.gradient(loss, x)

        return lambda: evaluate(x, y)[0].numpy()

    NATIVE = {
        "SoftmaxCrossEntropy": lambda y, s: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, s)),
        "BinaryCrossEntropy": lambda y, s: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, s)),
        **{name: getattr(tf.nn, name) for name in ("sigmoid", "tanh", "relu", "elu", "softsign")},
        "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.1),
        "maxout": lambda x: tf.reduce_max(tf.reshape(x, (x.shape[0], 2, -1)), axis=1),
    }

KERAS = {
    "SoftmaxCrossEntropy": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "SoftmaxCrossEntropy, one-hot": keras.losses.CategoricalCrossentropy(from_logits=True),
    "BinaryCrossEntropy": keras.losses.BinaryCrossentropy(from_logits=True),
    "MulticlassHinge, one-hot": keras.losses.CategoricalHinge(),
    "SquaredHinge": keras.losses.SquaredHinge(),
    "L1": keras.losses.MeanAbsoluteError(),
    "L2": keras.losses.MeanSquaredError(),
    **{name: getattr(keras.activations, name) for name in ("sigmoid", "tanh", "relu", "elu", "softsign", "leaky_relu")},
}


def hinge_by_one_hot(y, s):
    mask = ops.one_hot(y, s.shape[-1])
    true = ops.sum(mask * s, axis=-1, keepdims=True)
    return ops.mean(ops.sum((1 - mask) * ops.maximum(0.0, s - true + 1), axis=-1))


OBVIOUS = {
    "SoftmaxCrossEntropy": lambda y, s: -ops.mean(ops.sum(ops.one_hot(y, s.shape[-1]) * ops.log_softmax(s), axis=-1)),
    "SoftmaxCrossEntropy, one-hot": lambda y, s: -ops.mean(ops.sum(y * ops.log_softmax(s), axis=-1)),
    "BinaryCrossEntropy": lambda y, s: ops.mean(ops.softplus(s) - y * s),
    "MulticlassHinge": hinge_by_one_hot,
    "Logistic": lambda y, f: ops.mean(ops.log(1 + ops.exp(-y * f))),
    "Square": lambda y, f: ops.mean(ops.square(1 - y * f)),
    "SquaredHinge": lambda y, f: ops.mean(ops.square(ops.maximum(0.0, 1 - y * f))),
    "SmoothHinge": lambda y, f: ops.mean(
        ops.where(y * f <= 0, 0.5 - y * f, ops.where(y * f < 1, ops.square(1 - y * f) / 2, 0.0))
    ),
    "Exponential": lambda y, f: ops.mean(ops.exp(-y * f)),
    "Savage": lambda y, f: ops.mean(1 / ops.square(1 + ops.exp(y * f))),
    "Tangent": lambda y, f: ops.mean(ops.square(2 * ops.arctan(y * f) - 1)),
    "L1": lambda y, f: ops.mean(ops.sum(ops.abs(f - y), axis=-1)),
    "L2": lambda y, f: ops.mean(ops.sum(ops.square(f - y), axis=-1)),
    "leaky_relu": lambda x: ops.maximum(0.1 * x, x),
    "maxout": lambda x: ops.maximum(*ops.split(x, 2, axis=-1)),
}


def labels(name, shape):
    classes = RNG.integers(0, shape[1], size=shape[0])
    if name.endswith("one-hot"):
        return np.eye(shape[1], dtype="float32")[classes]
    if name in ("SoftmaxCrossEntropy", "MulticlassHinge"):
        return classes
    if name == "BinaryCrossEntropy":
        return RNG.integers(0, 2, size=shape).astype("float32")
    return RNG.choice([-1.0, 1.0], size=shape).astype("float32")


def contenders(name, shape):
    """`{peer: run}` for a loss, or for an activation followed by a mean."""
    if name in activations.__all__:
        functions = {"ours": getattr(activations, name), "keras": KERAS.get(name), "obvious": OBVIOUS.get(name)}
        functions["native"] = NATIVE.get(name)
        functions = {peer: (lambda y, x, f=f: ops.mean(f(x))) for peer, f in functions.items() if f}
    else:
        functions = {"ours": getattr(losses, name.split(",")[0])(), "keras": KERAS.get(name)}
        functions |= {"obvious": OBVIOUS.get(name), "native": NATIVE.get(name)}
    x, y = RNG.normal(size=shape).astype("float32"), labels(name, shape)
    return {peer: step(f, x, y) for peer, f in functions.items() if f}


def main():
    names = sys.argv[1:] or sorted({*losses.__all__, *activations.__all__, *OBVIOUS, "MulticlassHinge, one-hot"})
    print(f"{environment()}\n")
    print("| forward + backward | ours, µs | " + " | ".join(PEERS) + " |")
    print("|---|" + "---|" * (len(PEERS) + 1))
    for name in names:
        for size, shape in SIZES.items():
            rounds = 400 if size == "small" else 40
            measured = interleaved(contenders(name, shape), rounds=rounds, seconds=1.5)
            print(row(f"{name} {shape[0]} × {shape[1]}", measured, "ours", PEERS), flush=True)


if __name__ == "__main__":
    main()
