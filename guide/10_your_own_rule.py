"""
Your own optimizer in ten lines
===============================

You will learn how to write an update rule as the formula in a paper. Weight decay, L1 shrinkage, clipping, schedules,
saving, mixed precision and all three backends then work without further code. (3 minutes)

The example is Lion (Chen et al., 2023, arXiv:2302.06675), which steps by the sign of an average of gradients:

.. code-block:: none

    w ← w − η · sign(0.9 m + 0.1 g)
    m ← 0.99 m + 0.01 g
"""

import math

import keras
import matplotlib.pyplot as plt
from keras import ops

from keras_lecture import data, losses, optimizers

# %%
# Subclass ``Rule``, name the slots that the rule keeps for each weight, and write one step. ``step`` gets a weight
# ``w``, its gradient ``g``, the learning rate, the number ``k`` of the step and the slots; it returns the new weight
# and slots. Registering the class makes saved models load without ``custom_objects``.


@keras.saving.register_keras_serializable(package="guide")
class Lion(optimizers.Rule):
    """Steps by the sign of a mean of m and the gradient; m is the moving average of the gradients."""

    slots = ("m",)

    def step(self, w, g, rate, k, m):
        direction = ops.sign(0.9 * m + 0.1 * g)
        return w - rate * direction, 0.99 * m + 0.01 * g


# %%
# It is used like any other optimizer, here with a schedule and with decoupled weight decay, which excludes biases. For
# comparison, Adam with the best of three learning rates (0.001, 0.003, 0.01).

images, labels = data.load("digits")
(x_train, y_train), test = data.split(images.reshape(-1, 64), labels, (0.8, 0.2), seed=0)
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")

for rule, rate in ((Lion, 0.002), (optimizers.Adam, 0.003)):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)])
    schedule = optimizers.schedules.WarmRestarts(rate, period=15).per_epoch(steps=math.ceil(len(x_train) / 32))
    model.compile(rule(schedule, weight_decay=0.1), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=32, epochs=15, validation_data=test, verbose=0).history
    axes.plot(range(1, 16), history["val_loss"], marker="o", label=rule.__name__)
    print(f"test accuracy with {rule.__name__} {history['val_accuracy'][-1]:.2%}")

axes.set(xlabel="epoch", ylabel="test loss", yscale="log")
axes.legend(frameon=False)
plt.show()

# %%
# One seed and one problem are no comparison of the two; :doc:`choosing an optimizer <03_choosing_an_optimizer>` shows
# how to make one.
#
# Where to go next: the reference of ``optimizers.Rule``, :doc:`the gallery </gallery/index>`, or :doc:`the lectures
# </lectures>`, which list every method of the package.
