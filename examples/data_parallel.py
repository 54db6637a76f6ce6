"""
One batch on several devices
============================

``keras.distribution`` splits each batch over devices, and each optimizer here works on the split as on the whole. Four
devices are simulated on one CPU; on a machine with four GPUs the same script uses those. Keras has this for JAX; on the
other backends the script says so and trains on one device.
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")

import keras
import numpy as np

from keras_lecture import data, losses, optimizers

images, labels = (part[:1792] for part in data.load("digits"))
images = images.reshape(-1, 64)


def train():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)])
    model.compile(optimizers.Adam(0.005), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    history = model.fit(images, labels, batch_size=128, epochs=5, verbose=0).history
    return history["accuracy"][-1], np.concatenate([np.ravel(w) for w in model.get_weights()])


accuracy, weights = train()

# %%
devices = keras.distribution.list_devices() if keras.backend.backend() == "jax" else []
if devices:
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    accuracy, shared = train()
    keras.distribution.set_distribution(None)
    apart = np.abs(shared - weights).max()
    print(f"{len(devices)} devices: the weights are within {apart:.1e} of those of one device")
else:
    print(f"keras.distribution needs JAX; on {keras.backend.backend()} this was one device")

# %%
print(f"training accuracy {accuracy:.2%}")
