"""A small CNN through `fit`: our layers and optimizer against the same net of Keras's, and against native code.

KERAS_BACKEND=torch python tests/benchmarks/fit_cnn.py [parts]        (TensorFlow: XLA=1 compiles with XLA)

`parts` adds Keras's net with one of our classes at a time.

Three blocks of convolution, batch normalization, ReLU, max pooling and dropout, a dense layer; 32 × 32 × 3, batch 64.
"""

import os
import sys

import keras
import numpy as np
from measure import environment, interleaved, row
from native_cnn import BATCH, FILTERS, NATIVE, RATE

import keras_lecture

BACKEND = keras.backend.backend()
XLA = bool(os.environ.get("XLA"))
STEPS = 6
PARTS = ("BatchNormalization", "MaxPooling2D", "Dropout")
EVERYTHING = (*PARTS, "Adam")


def network(ours):
    """The net, with our class in place of Keras's for each part that `ours` names."""
    make = {name: getattr(keras_lecture.layers if name in ours else keras.layers, name) for name in PARTS}
    body = [
        layer
        for filters in FILTERS
        for layer in (
            # The normalization that follows has a bias.
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            make["BatchNormalization"](),
            keras.layers.ReLU(),
            make["MaxPooling2D"](2),
            make["Dropout"](RATE, seed=1),
        )
    ]
    return keras.Sequential([keras.Input((32, 32, 3)), *body, keras.layers.Flatten(), keras.layers.Dense(10)])


def through_fit(ours, x, y):
    """A function that trains for one epoch of `STEPS` batches."""
    keras.utils.set_random_seed(0)
    model = network(ours)
    optimizer = keras_lecture.optimizers.Adam() if "Adam" in ours else keras.optimizers.Adam()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=BACKEND == "jax" or XLA)
    return lambda: model.fit(x, y, batch_size=BATCH, verbose=0)


def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(BATCH * STEPS, 32, 32, 3)).astype("float32")
    return x, generator.integers(0, 10, len(x))


def main():
    x, y = data()
    contenders = {"ours": through_fit(EVERYTHING, x, y), "keras": through_fit((), x, y)}
    if "parts" in sys.argv:
        contenders |= {f"keras, our {part}": through_fit((part,), x, y) for part in EVERYTHING}
    if NATIVE:
        contenders["native loop"] = NATIVE(x, y)
    times = interleaved(contenders, rounds=40, seconds=30.0)
    peers = [name for name in contenders if name != "ours"]
    print(f"{environment()}{', XLA' if XLA else ''}\n")
    print(f"| a step of `fit` | ours, µs | {' | '.join(peers)} |\n|---|---:|{'---:|' * len(peers)}")
    print(row(BACKEND, {name: time / STEPS for name, time in times.items()}, "ours", peers))


if __name__ == "__main__":
    main()
