"""
Early stopping, and a run that survives a kill
==============================================

``EarlyStopping`` ends a training when the held-out loss no longer falls and goes back to the best epoch, its optimizer
included. ``ExactResume`` saves all that a run is made of: the same script, started again after a kill, ends with the
same weights, to the bit.
"""

import tempfile

import keras
import numpy as np

from keras_lecture import callbacks, data, losses, optimizers

images, labels = data.load("digits")
train, held_out, test = data.split(images.reshape(-1, 64), labels, (0.3, 0.3, 0.4), seed=0)


class Kill(keras.callbacks.Callback):
    """Stands for a power cut in the middle of the third epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 2 * 17 + 8:
            raise KeyboardInterrupt


# %%
# The whole script of a run. Nothing in it knows whether it begins or goes on: that is in the folder.


def run(folder, *more):
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(64, "relu"), keras.layers.Dropout(0.2)]
    model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10)])
    model.compile(optimizers.Adam(0.02), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    stopping = callbacks.EarlyStopping(patience=3, restore_best_weights=True, verbose=1)
    batches = data.Batches(*train, batch_size=32, seed=0)
    resume = callbacks.ExactResume(folder, every=5)
    model.fit(batches, epochs=30, validation_data=held_out, callbacks=[stopping, resume, *more], verbose=0)
    return model


# %%
whole = run(tempfile.mkdtemp())
folder = tempfile.mkdtemp()
try:
    run(folder, Kill())
except KeyboardInterrupt:
    print("killed; started again")
resumed = run(folder)

# %%
pairs = zip(whole.get_weights(), resumed.get_weights(), strict=True)
print("the same weights:", all(np.array_equal(a, b) for a, b in pairs))
print(f"test accuracy {resumed.evaluate(*test, batch_size=len(test[0]), verbose=0)[1]:.2%}")
