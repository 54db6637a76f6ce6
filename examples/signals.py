"""
Initialization and signal propagation
=====================================

The lectures' experiment with ten layers of 500 units. With small weights the signal vanishes, with N(0, 1) tanh
saturates, Xavier preserves the signal under tanh and Kaiming under ReLU. ``rescale`` repairs a bad initialization.
``python examples/signals.py picture.png`` saves the figure.
"""

import sys

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_lecture import initializers

LAYERS, UNITS = 10, 500
INITIALIZATIONS = {
    "N(0, 0.01²), tanh": ("tanh", initializers.Gaussian(0.01)),
    "N(0, 1), tanh": ("tanh", initializers.Gaussian(1.0)),
    "Xavier, tanh": ("tanh", initializers.Xavier()),
    "Xavier, ReLU": ("relu", initializers.Xavier()),
    "Kaiming, ReLU": ("relu", initializers.Kaiming()),
    "N(0, 0.01²), ReLU, rescaled": ("relu", initializers.Gaussian(0.01)),
}
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(1000, UNITS)).astype("float32")

# %%
figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
print(f"{'standard deviation in layer':30}{1:>10}{5:>10}{10:>10}")
for name, (activation, initializer) in INITIALIZATIONS.items():
    model = keras.Sequential([keras.Input((UNITS,)), *(keras.layers.Dense(UNITS, activation) for _ in range(LAYERS))])
    initializers.initialize(model, initializer)
    if "rescaled" in name:
        initializers.rescale(model, x, verbose=0)
    signal, spread = x, []
    for layer in model.layers:
        signal = keras.ops.stop_gradient(layer(signal))
        spread.append(float(keras.ops.std(signal)))
    print(f"{name:30}{spread[0]:10.2g}{spread[4]:10.2g}{spread[9]:10.2g}")
    axes.plot(range(1, LAYERS + 1), spread, marker="o", markersize=4, label=name)

axes.set(yscale="log", xlabel="layer", ylabel="standard deviation of the outputs", xticks=range(1, LAYERS + 1))
axes.set_title("Signal propagation through ten layers of 500 units", loc="left")
axes.grid(alpha=0.25)
axes.legend(loc="lower left", frameon=False, fontsize=9)
axes.spines[["top", "right"]].set_visible(False)
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=130)
plt.show()
