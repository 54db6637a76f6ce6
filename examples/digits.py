"""
A first classifier
==================

A small convolutional network reaches about 98 % on 8 × 8 digits. Layers, ``compile`` and ``fit`` are Keras's own.
"""

import math

import keras
import matplotlib.pyplot as plt

from keras_lecture import callbacks, data, initializers, losses, optimizers, regularizers

keras.utils.set_random_seed(0)

# %%
# 1,797 images with values from 0 to 1, bundled with scikit-learn. The test set is a fifth of each class.

images, labels = data.load("digits")
(x_train, y_train), (x_test, y_test) = data.split(images, labels, (0.8, 0.2), seed=0)

# %%
# The model outputs logits; the loss applies the softmax in a numerically stable way. ``Kaiming`` preserves the variance
# of the signal under ReLU. ``penalize`` adds an L2 penalty to the kernels of the built model, not to its biases.

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
# Nesterov's momentum with cosine decay of the learning rate. ``GradientMonitor`` adds the gradient norm and the update
# ratio, the norm of the step relative to that of the weights, to the logs.

schedule = optimizers.schedules.WarmRestarts(0.05, period=8).per_epoch(steps=math.ceil(len(x_train) / 32))
model.compile(optimizers.Nesterov(schedule).bind(model), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
fit = model.fit(x_train, y_train, batch_size=32, epochs=8, callbacks=[callbacks.GradientMonitor()], verbose=2)

# %%
# The gradient norm falls with the loss, and the update ratio falls with the learning rate.

figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
for name, axis in zip(("loss", "gradient_norm", "update_ratio"), axes, strict=True):
    axis.plot(range(1, 9), fit.history[name], marker="o")
    axis.set(title=name.replace("_", " "), xlabel="epoch", ylim=0)
plt.show()

# %%
loss, accuracy = model.evaluate(x_test, y_test, batch_size=len(x_test), verbose=0)
print(f"test loss {loss:.4f}, test accuracy {accuracy:.2%}")
