"""
The order of the data
=====================

You will learn how to split data so that every part is representative, and how to choose the order in which training
sees it: reproducible, balanced, or from easy to hard. (3 minutes)
"""

import keras
import numpy as np

from keras_lecture import data, losses, optimizers

images, labels = data.load("digits")
x = images.reshape(-1, 64)

# %%
# Split
# -----
# ``split`` takes the same share of every class. Keras's ``validation_split`` takes the last rows instead; if the rows
# are sorted by class, as on many disks, the validation set then holds classes that training never saw.

train, validation, test = data.split(x, labels, (0.6, 0.2, 0.2), seed=0)
by_class = np.argsort(labels, kind="stable")
print("validation set, examples of each digit")
print("split            ", np.bincount(validation[1], minlength=10))
print("last of the sorted", np.bincount(labels[by_class][-360:], minlength=10))

# %%
# Reproducible batches
# --------------------
# The order of ``Batches`` depends on the seed and the epoch only, on every backend, so that a run can be repeated and
# resumed example by example. Pass them to ``fit`` in place of ``x`` and ``y``, with ``shuffle=False``: they shuffle
# already.

batches = data.Batches(*train, batch_size=32, seed=0)
print("first rows of epochs 0 and 1:", batches.order(0)[:5], batches.order(1)[:5])

# %%
# Rare classes
# ------------
# Here the digits 0 to 4 are rare: five images each, against about a hundred. ``BalancedBatches`` shows all classes
# equally often and repeats the rare ones, so that every step has gradients from all classes.

rare = np.concatenate([np.flatnonzero(train[1] == digit)[: 5 if digit < 5 else None] for digit in range(10)])
few = (train[0][rare], train[1][rare])
is_rare = validation[1] < 5


def classifier():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(10)])
    model.compile(optimizers.Adam(0.003), losses.SoftmaxCrossEntropy())
    return model


def train_on(batches, steps=200):
    model = classifier()
    model.fit(batches, epochs=round(steps / len(batches)), shuffle=False, verbose=0)
    right = np.argmax(model.predict(validation[0], verbose=0), axis=1) == validation[1]
    return f"rare digits {right[is_rare].mean():.1%}, the others {right[~is_rare].mean():.1%}"


print("Batches         ", train_on(data.Batches(*few, batch_size=40, seed=0)))
print("BalancedBatches ", train_on(data.BalancedBatches(*few, batch_size=40, seed=0)))

# %%
# The price: the model learns all classes as equally frequent, so that its probabilities are too high for rare ones.
#
# Easy first
# ----------
# ``Curriculum`` begins with the easiest examples and takes in more and harder ones as training goes on. The difficulty
# is a number for each example; here, how far an image is from the mean of its class.

means = np.stack([train[0][train[1] == digit].mean(axis=0) for digit in range(10)])
difficulty = np.linalg.norm(train[0] - means[train[1]], axis=1)
curriculum = data.Curriculum(*train, batch_size=32, difficulty=difficulty, start=0.2, epochs=6, seed=0)
print("share of the examples in use, epochs 0 to 6:", [f"{curriculum.share(epoch):.0%}" for epoch in range(7)])
print("Batches    ", train_on(data.Batches(*train, batch_size=32, seed=0)))
print("Curriculum ", train_on(curriculum))

# %%
# A curriculum helps where hard examples mislead an untrained model. The digits are too easy for that, and one seed
# shows no small difference: measure it on your own data as in :doc:`choosing an optimizer <03_choosing_an_optimizer>`.
#
# Where to go next: :doc:`several devices <09_several_devices>`.
