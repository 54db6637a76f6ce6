"""
Early stopping, and resuming after a kill
=========================================

``EarlyStopping`` ends the training when the validation loss stops falling, and restores weights and optimizer state of
the best epoch. ``ExactResume`` saves the training state: after a kill, the same script ends with bit-identical weights.
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
# The whole script of a run. It is the same for the first start and for a restart: ``ExactResume`` checks the folder.


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
