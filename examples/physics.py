"""
L-BFGS on a small physics-informed network
==========================================

A network that solves −u″ = f, u(0) = u(1) = 0. Its loss is smooth and without noise: a case for quasi-Newton methods.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_lecture import losses, optimizers

x = np.linspace(0, 1, 40, dtype="float32")[:, None]
exact = np.sin(np.pi * x) + 0.5 * np.sin(4 * np.pi * x)
force = np.pi**2 * (np.sin(np.pi * x) + 8 * np.sin(4 * np.pi * x))

# %%
# The model is x → −n″(x). Its derivatives go by the chain rule, on any backend: value, slope and bend together.


class Network(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = [keras.layers.Dense(24), keras.layers.Dense(24)]
        self.end = keras.layers.Dense(1, use_bias=False)

    def derivatives(self, x):
        n, slope, bend = 2 * x - 1, 2 * keras.ops.ones_like(x), keras.ops.zeros_like(x)
        for dense in self.hidden:
            n = keras.ops.tanh(dense(n))
            slope, bend = slope @ dense.kernel, bend @ dense.kernel
            slope, bend = (1 - n**2) * slope, (1 - n**2) * (bend - 2 * n * slope**2)
        return self.end(n), bend @ self.end.kernel

    def call(self, x):
        return -self.derivatives(x)[1]

    def solution(self, x):
        """u(x): n(x) less the line through its ends, which has no second derivative."""
        n = np.array(keras.ops.stop_gradient(self.derivatives(keras.ops.convert_to_tensor(x))[0]))
        return n - (1 - x) * n[0] - x * n[-1]


# %%
# Both get the same start. What counts is how often each of them looks at the loss and its gradient.
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for optimizer, epochs in ((optimizers.Adam(0.01), 250), (optimizers.LBFGS(), 10)):
    keras.utils.set_random_seed(1)
    network = Network()
    network(x)
    network.compile(optimizer.bind(network) if hasattr(optimizer, "bind") else optimizer, losses.L2())
    history = network.fit(x, force, batch_size=len(x), epochs=epochs, verbose=0).history
    name, looks, u = type(optimizer).__name__, sum(history.get("evaluations", [epochs])), network.solution(x)
    axes.plot(x, u, label=name)
    print(f"{name:6} {looks:.0f} gradients, residual {history['loss'][-1]:.1e}, error {np.abs(u - exact).max():.1e}")
axes.plot(x, exact, "k:", label="exact")
axes.legend(frameon=False)
plt.show()
