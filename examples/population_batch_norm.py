"""
Batch normalization with exact population statistics
====================================================

At inference, batch normalization uses moving averages of the batch statistics, which lag behind the weights. After a
short training they are so far off that the model seems to have learned little. ``recalibrate`` replaces them with the
exact statistics of the training data, in one pass.
"""

import keras
import matplotlib.pyplot as plt

from keras_lecture import data, layers, losses, optimizers

keras.utils.set_random_seed(0)
images, labels = data.load("digits")
(x_train, y_train), (x_test, y_test) = data.split(images.reshape(-1, 64), labels, (0.8, 0.2), seed=0)

# %%
model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(64, use_bias=False),
        layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Dense(64, use_bias=False),
        layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Dense(10),
    ]
)
model.compile(optimizers.Adam(0.01), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=64, epochs=1, verbose=2)

# %%
# The two accuracies differ only by ``recalibrate``: the weights are the same.

second = model.layers[4]
moving = keras.ops.convert_to_numpy(second.moving_variance).copy()
before = model.evaluate(x_test, y_test, batch_size=len(x_test), verbose=0)[1]
layers.recalibrate(model, x_train, batch_size=64, verbose=0)
after = model.evaluate(x_test, y_test, batch_size=len(x_test), verbose=0)[1]

# %%
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.plot(moving, ".", label="moving average")
axes.plot(keras.ops.convert_to_numpy(second.moving_variance), ".", label="population")
axes.set(xlabel="unit of the second layer", ylabel="variance used at inference", ylim=0)
axes.legend(frameon=False)
plt.show()

# %%
print(f"test accuracy with moving averages {before:.2%}, with population statistics {after:.2%}")
