"""
Backpropagation by hand, checked
================================

The lectures' networks of one and two neurons: derivatives by the chain rule on paper, by the framework, and by
differences of the loss. Then an activation whose author forgot a factor in its derivative: the model still learns a
little, and ``gradient_check`` names the layer.
"""

import keras
import numpy as np
from keras import layers, ops

from keras_lecture import data, diagnosis, losses

# %%
# w₂·max(0, w₁x) with w = (1/3, 2) at x = 1; the loss is the square of this output, 2/3. Backward: the loss passes on
# 2·2/3 = 4/3. The derivative in w₂ is this times the second layer's input, 1/3; in w₁ it is this times w₂ times x.

by_hand = {"first": 4 / 3 * 2 * 1, "second": 4 / 3 * 1 / 3}
neurons = [layers.Dense(1, "relu", use_bias=False, name="first"), layers.Dense(1, use_bias=False, name="second")]
model = keras.Sequential([keras.Input((1,)), *neurons])
model.set_weights([np.array([[1 / 3]]), np.array([[2.0]])])
model.compile(loss="mse")
for row in diagnosis.gradient_check(model, np.array([[1.0]]), np.array([[0.0]])).rows:
    print(f"{row.layer}: by hand {by_hand[row.layer]:.4f}, analytic {row.analytic:.4f}, numeric {row.numeric:.4f}")

# %%
# The derivative of t = tanh(2x) is 2(1 − t²). Here the 2 is missing.


@ops.custom_gradient
def steep_tanh(x):
    t = ops.tanh(2.0 * x)

    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        return upstream * (1.0 - t * t)

    return t, gradient


images, labels = data.load("digits")
stack = [layers.Dense(16, name="hidden"), layers.Activation(steep_tanh, name="steep_tanh"), layers.Dense(10)]
model = keras.Sequential([keras.Input((64,)), *stack])
model.compile("adam", losses.SoftmaxCrossEntropy())
found = diagnosis.gradient_check(model, images[:8].reshape(-1, 64), labels[:8])
print(found)
print(f"analytic over numeric: {found.worst.analytic / found.worst.numeric:.3f}")
