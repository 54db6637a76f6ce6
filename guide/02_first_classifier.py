"""
Your first classifier
=====================

You will learn how the parts of this package go into a Keras model that reads digits with about 98 % accuracy: data,
initialization, loss, optimizer, schedule and a callback. (3 minutes)
"""

import math

import keras
import matplotlib.pyplot as plt

from keras_lecture import callbacks, data, initializers, losses, optimizers, regularizers

keras.utils.set_random_seed(0)

# %%
# Data: 1,797 images of 8 × 8 pixels with values from 0 to 1, bundled with scikit-learn. ``split`` takes a fifth of each
# class as the test set.

images, labels = data.load("digits")
(x_train, y_train), (x_test, y_test) = data.split(images, labels, (0.8, 0.2), seed=0)

# %%
# Model: layers, ``compile`` and ``fit`` are Keras's own. ``Kaiming`` keeps the variance of the signal under ReLU. The
# last layer has no softmax, because the loss contains it. ``penalize`` adds an L2 penalty to the kernels, not to the
# biases.

convolution = {"kernel_size": 3, "padding": "same", "activation": "relu", "kernel_initializer": initializers.Kaiming()}
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(32, **convolution),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(64, **convolution),
        keras.layers.Flatten(),
        keras.layers.Dense(10, kernel_initializer=initializers.Xavier()),
    ]
)
regularizers.penalize(model, regularizers.L2(1e-4), where="kernels")

# %%
# Training: Nesterov's momentum with a learning rate that falls along a cosine. ``bind(model)`` gives an optimizer
# access to the model; here for the gradient at the look-ahead point. ``GradientMonitor`` adds the norm of the gradient
# to the logs.

schedule = optimizers.schedules.WarmRestarts(0.05, period=8).per_epoch(steps=math.ceil(len(x_train) / 32))
model.compile(optimizers.Nesterov(schedule).bind(model), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
fit = model.fit(x_train, y_train, batch_size=32, epochs=8, callbacks=[callbacks.GradientMonitor()], verbose=2)

# %%
# ``update_ratio`` is the norm of a step relative to that of the weights. It falls with the learning rate, and the
# gradient norm with the loss.

figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
for name, axis in zip(("loss", "gradient_norm", "update_ratio"), axes, strict=True):
    axis.plot(range(1, 9), fit.history[name], marker="o")
    axis.set(title=name.replace("_", " "), xlabel="epoch", ylim=0)
plt.show()

# %%
# The test set is used once, at the end.

loss, accuracy = model.evaluate(x_test, y_test, batch_size=len(x_test), verbose=0)
print(f"test loss {loss:.4f}, test accuracy {accuracy:.2%}")

# %%
# Where to go next: :doc:`choosing an optimizer <03_choosing_an_optimizer>`. To train such a model without a script, see
# :doc:`the command line </command_line>`.
