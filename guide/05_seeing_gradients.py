"""
Seeing gradients
================

You will learn how to see gradients while a model trains, layer by layer, what their numbers mean, and how to look at
one batch closely. Keras shows no gradients; this works under plain ``fit`` on every backend. (3 minutes)
"""

import keras
import matplotlib.pyplot as plt

from keras_lecture import callbacks, data, diagnosis, losses, optimizers

images, labels = data.load("digits")
x, y = images.reshape(-1, 64), labels

# %%
# Two networks of six layers: sigmoids, which lose the gradient on its way to the first layers, and ReLUs with Kaiming's
# initialization, which carry it. ``GradientMonitor`` adds three numbers to the logs, here for each layer:
# ``gradient_norm``, ``weight_norm`` and ``update_ratio``, the norm of the step relative to that of the weights.

INSIDE = [f"layer_{number}" for number in range(1, 7)]


def train(activation, initializer):
    keras.utils.set_random_seed(0)
    inside = [keras.layers.Dense(32, activation, kernel_initializer=initializer, name=name) for name in INSIDE]
    model = keras.Sequential([keras.Input((64,)), *inside, keras.layers.Dense(10, name="scores")])
    model.compile(optimizers.Adam(0.001), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    watch = callbacks.GradientMonitor(per_layer=True)
    return model, model.fit(x, y, batch_size=64, epochs=8, callbacks=[watch], verbose=0).history


runs = {"sigmoid": train("sigmoid", "glorot_uniform"), "relu": train("relu", "he_normal")}
for name, (_, logs) in runs.items():
    first, last = logs["gradient_norm/layer_1"][0], logs["gradient_norm/layer_6"][0]
    print(f"{name:8} epoch 1: gradient of layer 1 over that of layer 6 {first / last:.1e}", end=", ")
    print(f"training accuracy at the end {logs['accuracy'][-1]:.1%}")

# %%
# The picture to look at is the gradient norm over the layers. Falling to the left it vanishes, rising it explodes; in a
# healthy network it is of one order of magnitude.

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for (name, (_, logs)), style in zip(runs.items(), ("o--", "s-"), strict=True):
    axes.plot(range(1, 7), [logs[f"gradient_norm/{layer}"][0] for layer in INSIDE], style, label=name)
axes.set(yscale="log", xlabel="layer", ylabel="gradient norm, epoch 1", xticks=range(1, 7))
axes.legend(frameon=False)
plt.show()

# %%
# How to read ``update_ratio``: a thousandth per step is usual. Far below, the weights hardly move and the rate may be
# too small; a tenth is too much for anything but the first steps.

print("update ratio by epoch, relu:", [f"{ratio:.1e}" for ratio in runs["relu"][1]["update_ratio"]])

# %%
# One batch, closely
# ------------------
# ``signals`` needs no training: one pass forward and backward, a row for each layer and each weight. ``std`` is the
# spread of the outputs, ``zeros`` and ``dead`` count silent units, ``sat.`` is the share of outputs in the flat parts
# of the activation, ``gradient`` the size of the gradient at the outputs.

print(diagnosis.signals(runs["sigmoid"][0], x[:64], y[:64]))

# %%
# If a gradient is wrong rather than small, ``gradient_check`` compares it with differences of the loss, and
# ``first_nonfinite`` finds the first infinity or NaN of a step. Monitoring every step costs :doc:`2 to 13 %
# </benchmarks/callbacks>` of a step of a perceptron; ``every=10`` less.
#
# Where to go next: :doc:`when training fails <06_when_training_fails>`. Limits for gradients that are too large are
# :doc:`in the gallery </gallery/clipping>`.
