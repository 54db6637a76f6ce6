"""
Several devices
===============

You will learn which of the frameworks' own engines train a model of this package on several devices, and see that four
devices compute the step of one. (2 minutes)

.. list-table::
   :header-rows: 1
   :widths: 20 40 40

   * - backend
     - engine
     - what a test shows
   * - JAX
     - ``keras.distribution.DataParallel`` under plain ``fit``
     - The weights are those of one device, for update rules and line searches.
   * - TensorFlow
     - ``tf.distribute.MirroredStrategy`` under plain ``fit``
     - The weights are those of one device, for update rules. Line searches and L-BFGS refuse: they would see one
       replica's part of the batch.
   * - PyTorch
     - ``DistributedDataParallel`` in a loop of your own, as in Keras's guide
     - The weights are those of one process, for update rules. In Keras 3.15, ``fit`` uses one device.

The devices of the tests are simulated on one CPU; no speed was measured on several.
"""

# %%
# Four devices are simulated on one CPU here; on a machine with four GPUs the same script uses those. On a backend other
# than JAX it says so and trains on one device.

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_lecture import data, losses, optimizers

images, labels = (part[:1792] for part in data.load("digits"))
images = images.reshape(-1, 64)


def train():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)])
    model.compile(optimizers.Adam(0.005), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    history = model.fit(images, labels, batch_size=128, epochs=5, verbose=0).history
    return history, np.concatenate([np.ravel(w) for w in model.get_weights()])


# %%
# ``set_distribution`` is the only change: Keras then splits every batch over the devices.

history, weights = train()
curves = {"one device": history["loss"]}
devices = keras.distribution.list_devices() if keras.backend.backend() == "jax" else []
if devices:
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    history, shared = train()
    keras.distribution.set_distribution(None)
    curves[f"{len(devices)} devices"] = history["loss"]
    print(f"{len(devices)} devices: largest weight difference to one device {np.abs(shared - weights).max():.1e}")
else:
    print(f"keras.distribution needs JAX; on {keras.backend.backend()} this was one device")

# %%
print(f"training accuracy {history['accuracy'][-1]:.2%}")
for (name, loss), style in zip(curves.items(), ("-", "o"), strict=False):
    plt.plot(range(1, 6), loss, style, label=name)
plt.xlabel("epoch")
plt.ylabel("loss")
plt.legend(frameon=False)
plt.show()

# %%
# Where to go next: :doc:`your own rule <10_your_own_rule>`.
