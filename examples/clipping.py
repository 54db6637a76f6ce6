"""
Gradient clipping rescues a diverging recurrent network
=======================================================

A recurrent network reads each digit row by row, with a learning rate that is too high. On a cliff of the loss, one
large gradient destroys the weights. ``GradientClipping`` limits the gradient, and ``GradientMonitor`` logs its norm.
"""

import keras
import matplotlib.pyplot as plt

from keras_lecture import callbacks, data, initializers, losses, optimizers

EPOCHS = 8
images, labels = data.load("digits")
rows = images[..., 0]

# %%
# The same initialization and batches, with and without a limit on the global gradient norm. The monitor comes first in
# the list, so it sees the gradient before clipping.


def train(*clipping):
    keras.utils.set_random_seed(0)
    cell = keras.layers.SimpleRNN(64, activation="relu", kernel_initializer=initializers.Kaiming())
    model = keras.Sequential([keras.Input((8, 8)), cell, keras.layers.Dense(10)])
    model.compile(optimizers.SGD(1.0), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    watch = [callbacks.GradientMonitor(), *clipping]
    return model.fit(rows, labels, batch_size=64, epochs=EPOCHS, callbacks=watch, verbose=0).history


plain = train()
clipped = train(callbacks.GradientClipping(global_norm=1.0))

# %%
# ``clipped_share`` in the logs is the share of steps that were clipped: near 1 the limit is too tight, at 0 it is never
# reached.

figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
for name, axis in zip(("loss", "gradient_norm"), axes[:2], strict=True):
    axis.plot(plain[name], marker="o", label="plain")
    axis.plot(clipped[name], marker="o", label="clipped at 1")
    axis.set(title=name.replace("_", " "), xlabel="epoch", yscale="log")
axes[0].legend(frameon=False)
axes[2].plot(clipped["clipped_share"], marker="o", color="tab:orange")
axes[2].set(title="clipped share of the steps", xlabel="epoch", ylim=(0, 1))
plt.show()

# %%
for name, history in (("plain", plain), ("clipped", clipped)):
    print(f"{name:8} loss {history['loss'][-1]:.3f}, training accuracy {history['accuracy'][-1]:.2%}")
