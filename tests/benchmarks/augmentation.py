"""Augmentations against Keras's own: one training call, 64 images of 32 × 32 × 3, compiled as the backend does it.

KERAS_BACKEND=torch python tests/benchmarks/augmentation.py
"""

import keras
import numpy as np
from measure import environment, interleaved, row

from keras_lecture import _backend, layers

k = keras.layers
BACKEND = keras.backend.backend()
IMAGES = np.random.default_rng(0).uniform(size=(64, 32, 32, 3)).astype("float32")


def cases():
    crop = [k.ZeroPadding2D(4), k.RandomCrop(32, 32, seed=1), k.RandomFlip("horizontal", seed=1)]
    turn = [k.RandomZoom((-0.1, 0.1), (-0.1, 0.1), "constant", seed=1)]
    turn += [k.RandomRotation(0.03, "constant", seed=1), k.RandomTranslation(0.1, 0.1, "constant", seed=1)]
    return {
        # Keras 3.15's RandomCrop does not compile on JAX.
        "RandomCropFlip": (layers.RandomCropFlip(32, 32, padding=4, seed=1), crop if BACKEND != "jax" else None),
        "RandomAffine": (layers.RandomAffine(seed=1), turn),
        "Jitter": (layers.Jitter(0.1, seed=1), [k.GaussianNoise(0.1, seed=1)]),
        "ZeroCenter": (
            layers.ZeroCenter(mean=[0.5] * 3, unit_variance=True, deviation=0.3),
            [k.Normalization(mean=[0.5] * 3, variance=[0.09] * 3)],
        ),
    }


def runner(steps):
    """A training call of the layers in a row."""
    model = keras.Sequential([keras.Input(IMAGES.shape[1:]), *steps])
    trainable, rest = [], [v.value for v in model.non_trainable_variables]
    call = _backend.compile(lambda x: model.stateless_call(trainable, rest, x, training=True)[0])
    x = keras.ops.convert_to_tensor(IMAGES)
    return lambda: keras.ops.convert_to_numpy(call(x))


def main():
    print(environment(), "\n\n| training call | ours, µs | keras |\n|---|---:|---:|")
    for name, (ours, theirs) in cases().items():
        contenders = {"ours": runner([ours]), **({"keras": runner(theirs)} if theirs else {})}
        times = interleaved(contenders, seconds=4.0)
        print(row(name, times, "ours", ["keras"]), flush=True)


if __name__ == "__main__":
    main()
