"""
An optimizer of your own in ten lines
=====================================

``Rule`` asks for the names of the slots and for one step, in plain arithmetic. Decay, shrinkage, clipping, schedules,
saving, mixed precision and all three backends come with it. Here: Lion (Chen et al., 2023, arXiv:2302.06675), the sign
of an average of gradients.
"""

import keras
from keras import ops

from keras_lecture import data, losses, optimizers

keras.utils.set_random_seed(0)


@keras.saving.register_keras_serializable(package="examples")
class Lion(optimizers.Rule):
    """m: the running mean of the gradients; the step goes by the sign of a mean with the present one."""

    slots = ("m",)

    def step(self, w, g, rate, k, m):
        direction = ops.sign(0.9 * m + 0.1 * g)
        return w - rate * direction, 0.99 * m + 0.01 * g


# %%
# It is an optimizer like any other: decoupled decay that leaves biases alone, and a schedule.

images, labels = data.load("digits")
(x_train, y_train), (x_test, y_test) = data.split(images.reshape(-1, 64), labels, (0.8, 0.2), seed=0)

model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)])
schedule = optimizers.schedules.WarmRestarts(0.002, period=15).per_epoch(steps=len(x_train) // 32)
model.compile(Lion(schedule, weight_decay=0.1), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=15, verbose=0)

# %%
loss, accuracy = model.evaluate(x_test, y_test, batch_size=len(x_test), verbose=0)
print(f"test accuracy with Lion {accuracy:.2%}")
