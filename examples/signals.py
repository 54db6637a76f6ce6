"""Ten layers of 500 units: which start lets a signal through? The lectures' experiment, and `rescale` as the cure.

python examples/signals.py [picture.png]
"""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from keras_lecture import initializers

LAYERS, UNITS, SAMPLES = 10, 500, 1000
STARTS = {
    "N(0, 0.01²), tanh": ("tanh", lambda: initializers.Gaussian(0.01)),
    "N(0, 1), tanh": ("tanh", lambda: initializers.Gaussian(1.0)),
    "Xavier, tanh": ("tanh", initializers.Xavier),
    "Xavier, ReLU": ("relu", initializers.Xavier),
    "Kaiming, ReLU": ("relu", initializers.Kaiming),
    "N(0, 0.01²), ReLU, rescaled": ("relu", lambda: initializers.Gaussian(0.01)),
}


def network(activation, start):
    layers = [keras.layers.Dense(UNITS, activation=activation, kernel_initializer=start()) for _ in range(LAYERS)]
    return keras.Sequential([keras.Input((UNITS,)), *layers])


def spread(model, x):
    """The standard deviation of every layer's output."""
    result = []
    for layer in model.layers:
        x = layer(x)
        result.append(float(np.std(keras.ops.convert_to_numpy(keras.ops.stop_gradient(x)))))
    return result


def draw(results, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    colors = ["#b03a2e", "#e67e22", "#2471a3", "#7f8c8d", "#1e8449", "#6c3483"]
    for (name, values), color in zip(results.items(), colors, strict=True):
        axes.plot(range(1, LAYERS + 1), values, marker="o", markersize=4, color=color, label=name)
    axes.set(yscale="log", xlabel="layer", ylabel="standard deviation of the outputs", xticks=range(1, LAYERS + 1))
    axes.set_title("A signal on its way through ten layers of 500 units", loc="left")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower left", frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def main():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(SAMPLES, UNITS)).astype("float32")
    results = {}
    for name, (activation, start) in STARTS.items():
        model = network(activation, start)
        if "rescaled" in name:
            initializers.rescale(model, x, verbose=0)
        results[name] = spread(model, x)
    print(f"{'standard deviation in layer':30}{1:>10}{5:>10}{10:>10}")
    for name, values in results.items():
        print(f"{name:30}{values[0]:10.2g}{values[4]:10.2g}{values[9]:10.2g}")
    if len(sys.argv) > 1:
        draw(results, sys.argv[1])


if __name__ == "__main__":
    main()
