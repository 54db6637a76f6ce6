"""
Several devices
===============

You will learn which of the frameworks' own engines train a model of this package on several devices, and see that four
devices compute the step of one. (2 minutes)

.. list-table::
   :header-rows: 1
   :widths: 22 34 44

   * - backend
     - engine
     - what a test shows
   * - JAX
     - ``keras.distribution.DataParallel`` and ``ModelParallel`` under plain ``fit``
     - The weights are those of one device, for update rules, line searches and L-BFGS.
   * - TensorFlow
     - ``tf.distribute.MirroredStrategy`` under plain ``fit``
     - The weights are those of one device, for update rules; the callbacks see the gradient of the global batch. Line
       searches and L-BFGS refuse: a loop in the graph of a replica cannot wait for the others.
   * - PyTorch, Keras 3.15
     - ``DistributedDataParallel`` in a loop of your own, as in Keras's guide
     - The weights are those of one process, for update rules. ``fit`` uses one device.
   * - PyTorch, Keras 3.16
     - processes under plain ``fit``
     - The weights are those of one process, for update rules, line searches, L-BFGS and the callbacks.

The devices of the tests are simulated on one CPU; no speed was measured on several. The page "What we
promise and how it is tested" lists the trainings that were compared.

In all of them the batch is the global one, so that a learning rate found on one device stays right. Batch
normalization has the moments of each device's part of the batch, except on JAX;
``BatchNormalization(synchronized=True)`` has those of the global batch everywhere.
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
# On TensorFlow a model is built and compiled in the scope of a strategy. One process drives all GPUs of a machine::
#
#     with tf.distribute.MirroredStrategy().scope():
#         model = build()
#         model.compile(optimizers.Adam(0.005), losses.SoftmaxCrossEntropy())
#     model.fit(images, labels, batch_size=128)
#
# .. code-block:: bash
#
#     KERAS_BACKEND=tensorflow python train.py
#
# On PyTorch each GPU has a process, which takes its part of every batch. From Keras 3.16 on ``fit`` averages the
# gradients::
#
#     torch.distributed.init_process_group()
#     rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
#     model.fit(images[rank::world], labels[rank::world], batch_size=128 // world, shuffle=False)
#
# In Keras 3.15 you write the loop, around ``torch.nn.parallel.DistributedDataParallel(model)``. Both start by:
#
# .. code-block:: bash
#
#     torchrun --nproc_per_node 4 train.py
#
# On JAX one process drives all devices of a machine; on several machines ``keras.distribution.initialize()`` comes
# first, and the same script starts on each:
#
# .. code-block:: bash
#
#     KERAS_BACKEND=jax python train.py
#
# With ``ExactResume`` each process needs a folder of its own: ``ExactResume(f"runs/digits/{rank}")``.

# %%
# A cluster needs no engine of ours. The mathematics of a step on many devices is Keras's, JAX's, TensorFlow's or
# PyTorch's, as above. Starting the processes, giving each its rank, and starting them again after a machine has failed
# is the part of SLURM (``srun python train.py``), Ray (``TorchTrainer``) or Kubernetes. This package's part is that a
# run that was started again continues where it stopped.

# %%
# Where to go next: :doc:`your own rule <10_your_own_rule>`.
