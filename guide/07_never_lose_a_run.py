"""
Never lose a run
================

You will learn how a script that was killed continues with the same command to the same weights, bit for bit, and how to
stop at the best epoch instead of the last. (3 minutes)
"""

import tempfile

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_lecture import callbacks, data, losses, optimizers

images, labels = data.load("digits")
train, validation, test = data.split(images.reshape(-1, 64), labels, (0.3, 0.3, 0.4), seed=0)


class Kill(keras.callbacks.Callback):
    """Simulates a power failure in the middle of the third epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 2 * 17 + 8:
            raise KeyboardInterrupt


# %%
# The whole script of a run. It is the same for the first start and for a restart: ``ExactResume`` looks into the folder
# and continues from the latest file, if there is one. A file holds weights, optimizer, random states, the position in
# the data and the state of the other callbacks. ``EarlyStopping`` ends the training when the validation loss has not
# fallen for three epochs, and restores weights and optimizer of the best one.


def run(folder, *more):
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(64, "relu"), keras.layers.Dropout(0.2)]
    model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10)])
    model.compile(optimizers.Adam(0.02), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    stopping = callbacks.EarlyStopping(patience=3, restore_best_weights=True, verbose=1)
    watch = [stopping, callbacks.ExactResume(folder, every=5), *more]
    batches = data.Batches(*train, batch_size=32, seed=0)
    return model, model.fit(batches, epochs=30, validation_data=validation, callbacks=watch, verbose=0).history


# %%
# One run without an interruption; and one that is killed in the middle of the third epoch, then started again.

whole, curve = run(tempfile.mkdtemp())
folder = tempfile.mkdtemp()
try:
    run(folder, Kill())
except KeyboardInterrupt:
    print("killed; started again")
resumed, resumed_curve = run(folder)
pairs = zip(whole.get_weights(), resumed.get_weights(), strict=True)
print("identical weights:", all(np.array_equal(a, b) for a, b in pairs))
print(f"test accuracy {resumed.evaluate(*test, batch_size=len(test[0]), verbose=0)[1]:.2%}")

plt.plot(curve["val_loss"], label="validation loss, uninterrupted")
plt.plot(resumed_curve["val_loss"], "o", label="validation loss, killed and resumed")
plt.legend(frameon=False)
plt.show()

# %%
# What to know
# ------------
# - Use one folder for each run, and remove it to start over. A finished run returns at once; with more ``epochs`` it
#   continues.
# - The learning rate is part of the state: another one in ``compile`` has no effect on a resumed run.
# - The order of the data is exact for arrays and the batches of ``keras_lecture.data``; for other data you are warned.
# - A save with every epoch takes :doc:`up to 4 % </benchmarks/callbacks>` of a run with epochs of 60,000 examples.
#
# Where to go next: :doc:`data orders <08_data_orders>`. On the command line, ``keras-lecture train --resume`` does the
# same.
