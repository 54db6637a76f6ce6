"""
L-BFGS on a small physics-informed network
==========================================

L-BFGS solves −u″ = f, u(0) = u(1) = 0 more accurately than Adam with as many gradients: the loss has no noise.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_lecture import losses, optimizers

x = np.linspace(0, 1, 40, dtype="float32")[:, None]
exact = np.sin(np.pi * x) + 0.5 * np.sin(4 * np.pi * x)
force = np.pi**2 * (np.sin(np.pi * x) + 8 * np.sin(4 * np.pi * x))

# %%
# The model computes −n″(x) for a network n, by the chain rule for value, first and second derivative, on any backend.


class Network(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = [keras.layers.Dense(24), keras.layers.Dense(24)]
        self.end = keras.layers.Dense(1, use_bias=False)

    def derivatives(self, x):
        n, first, second = 2 * x - 1, 2 * keras.ops.ones_like(x), keras.ops.zeros_like(x)
        for dense in self.hidden:
            n = keras.ops.tanh(dense(n))
            first, second = first @ dense.kernel, second @ dense.kernel
            first, second = (1 - n**2) * first, (1 - n**2) * (second - 2 * n * first**2)
        return self.end(n), second @ self.end.kernel

    def call(self, x):
        return -self.derivatives(x)[1]

    def solution(self, x):
        """u(x): n(x) minus the straight line between its end points, which makes u vanish at both ends."""
        n = np.array(keras.ops.stop_gradient(self.derivatives(keras.ops.convert_to_tensor(x))[0]))
        return n - (1 - x) * n[0] - x * n[-1]


# %%
# Both start from the same weights. The cost is the number of gradient evaluations.
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for optimizer, epochs in ((optimizers.Adam(0.01), 250), (optimizers.LBFGS(), 10)):
    keras.utils.set_random_seed(1)
    network = Network()
    network(x)
    network.compile(optimizer.bind(network) if hasattr(optimizer, "bind") else optimizer, losses.L2())
    history = network.fit(x, force, batch_size=len(x), epochs=epochs, verbose=0).history
    name, count, u = type(optimizer).__name__, sum(history.get("evaluations", [epochs])), network.solution(x)
    axes.plot(x, u, label=name)
    print(f"{name:6} {count:.0f} gradients, residual {history['loss'][-1]:.1e}, error {np.abs(u - exact).max():.1e}")
axes.plot(x, exact, "k:", label="exact")
axes.legend(frameon=False)
plt.show()
