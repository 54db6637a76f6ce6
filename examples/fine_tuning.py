"""
Fine-tuning
===========

A network that tells the ten digits apart is asked another question, whether a digit is odd, with the answers for 27
images only. ``fine_tune`` keeps what the network has learned, frozen, and puts new scores on top of it. Against it, the
same network from the start.
"""

import keras

from keras_lecture import data, losses, models, optimizers

keras.utils.set_random_seed(0)
images, labels = data.load("digits")
digits, few, test = data.split(images, labels, (0.6, 0.015, 0.385), seed=0)


def learn(model, x, y, epochs):
    model.compile(optimizers.Adam(0.003), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return model


def accuracy(model):
    x, y = test
    return model.evaluate(x, y % 2, batch_size=len(x), verbose=0)[1]


# %%
# The network that has seen much.

trained = learn(models.mlp((8, 8, 1), 10, units=(128, 64)), *digits, epochs=10)

# %%
# All its layers but the last are frozen, and the last is a new one. No weight of ``trained`` changes.

x, y = few
tuned = learn(models.fine_tune(trained, 2), x, y % 2, epochs=75)
fresh = learn(models.mlp((8, 8, 1), 2, units=(128, 64)), x, y % 2, epochs=75)

# %%
print(f"{len(x)} images: test accuracy fine-tuned {accuracy(tuned):.2%}, from the start {accuracy(fresh):.2%}")
