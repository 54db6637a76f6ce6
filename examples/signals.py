"""
Initialization and signal propagation
=====================================

The lectures' experiment with ten layers of 500 units. With N(0, 0.01²) values and gradients vanish, with N(0, 1) tanh
saturates and the gradient explodes, Xavier preserves the signal under tanh and Kaiming under ReLU. ``rescale`` repairs a
bad initialization. ``python examples/signals.py picture.png`` saves the figure.
"""

import sys

import keras
import numpy as np

from keras_lecture import diagnosis, figures, initializers

# %%
# ``figures.experiments.signals`` runs the experiment, and ``figures.signals`` draws what it returns.
data = figures.experiments.signals(samples=200)
print(f"{'RMS of the values in layer':30}{1:>10}{5:>10}{10:>10}")
for name, values in data["forward"].items():
    print(f"{name:30}{values[0]:10.2g}{values[4]:10.2g}{values[9]:10.2g}")
figure = figures.signals(data)
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=130)

# %%
# ``rescale`` needs no theory, only a batch of data: it gives every layer of any network, here a convolutional one,
# outputs of unit variance before the activation. ``diagnosis.signals`` measures the values of each layer.
model = keras.Sequential(
    [
        keras.Input((16, 16, 3)),
        *(keras.layers.Conv2D(16, 3, padding="same", activation="relu") for _ in range(6)),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ]
)
x = np.random.default_rng(0).normal(size=(32, 16, 16, 3)).astype("float32")
initializers.initialize(model, initializers.Gaussian(0.01, seed=0))
print("\nscores before `rescale`:", f"{diagnosis.signals(model, x).rows[-1]['std']:.1e}")
initializers.rescale(model, x, verbose=0)
print("scores after `rescale`: ", f"{diagnosis.signals(model, x).rows[-1]['std']:.2f}")
