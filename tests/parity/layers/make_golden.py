"""Writes `golden.keras` and `golden.npz`: a model of all layers, trained on one backend, and its predictions.

KERAS_BACKEND=jax python tests/parity/layers/make_golden.py

The files in this folder came from keras 3.15.1 and jax 0.10.2. Run it again only after a change of the layers
that is meant to change their numbers.
"""

from pathlib import Path

import keras
import numpy as np

from keras_lecture import layers

HERE = Path(__file__).resolve().parent


def build():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            *augmentations(),
            layers.LocalContrastNormalization(5),
            layers.MaxoutConv2D(8, 3, padding="same"),
            layers.BatchNormalization(statistics="population"),
            layers.PReLU(),
            layers.MaxPooling2D(3, 2, ((1, 0), (1, 0))),
            layers.LocalResponseNormalization(3, alpha=0.1),
            layers.MaxoutConv2D(4, 3, padding="same"),
            layers.BatchNormalization(momentum=0.5),
            layers.GroupNormalization(2),
            layers.InstanceNormalization(),
            layers.ResidualBlock(4, normalization=layers.GroupNormalization(2)),
            layers.DenseBlock(2, layers=2, memory_efficient=True),
            layers.TransitionBlock(),
            layers.AtrousSpatialPyramidPooling(4, rates=(1, 2), merge="concat", image_pooling=True),
            layers.Upscale2D(),
            keras.layers.Reshape((16, 4)),
            layers.MaxPooling1D(2),
            keras.layers.Reshape((2, 2, 2, 4)),
            layers.MaxPooling3D((2, 1, 1)),
            keras.layers.Flatten(),
            layers.LayerNormalization(activation="tanh"),
            layers.WeightNormalization(keras.layers.Dense(8)),
            layers.DropConnect(keras.layers.Dense(8), rate=0.2, seed=7),
            layers.StochasticDepth(0.2, seed=6),
            layers.Dropout(0.3, seed=5),
            layers.Maxout(3, pieces=3),
        ]
    )


def augmentations():
    center, color = layers.ZeroCenter("pixel", unit_variance=True), layers.PCAColor(value_range=(-5, 5), seed=1)
    center.adapt(data()[0])
    color.adapt(data()[0])
    change = [layers.RandomAffine(5.0, shift=0.05, stretch=0.05, seed=2), layers.Jitter(0.05, seed=3)]
    crops = [layers.RandomCropFlip(10, 10, padding=2, seed=4), layers.TenCrop(8, 8), layers.MaxPooling3D((10, 1, 1))]
    return [color, center, *change, *crops, keras.layers.Reshape((8, 8, 3))]


def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(24, 8, 8, 3)).astype("float32")
    return x, x.mean((1, 2))


def main():
    keras.utils.set_random_seed(1)
    model, (x, y) = build(), data()
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    # Not compiled: Keras would save JAX's `jit_compile=True`, and PyTorch would compile for minutes after loading. Not
    # functional: Keras 3.15 writes `training=False` beside each call of a dropout layer, which 3.16 takes literally.
    keras.Sequential([keras.Input((8, 8, 3)), *model.layers]).save(HERE / "golden.keras")
    predicted = model.predict(x, verbose=0)
    trained = keras.ops.convert_to_numpy(model(x, training=True))
    np.savez(HERE / "golden.npz", predicted=predicted, trained=trained)


if __name__ == "__main__":
    main()
