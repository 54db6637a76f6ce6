"""Trains the watched model on one and on two devices, and fails unless the callbacks log the same."""

import keras
import numpy as np
from support.watched_model import X, Y, fit, model

from keras_lecture.callbacks import GradientClipping, GradientMonitor


def run():
    callbacks = GradientMonitor(per_layer=True, every=2), GradientClipping(percentile=50, on_nonfinite="skip")
    trained = model(keras.optimizers.Adam(0.01))
    return fit(trained, *callbacks, epochs=2, batch_size=8, validation_data=(X, Y))


alone = run()
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=keras.distribution.list_devices()))
assert len(keras.distribution.list_devices()) == 2
shared = run()
assert set(shared) == set(alone)
for name, values in alone.items():
    np.testing.assert_allclose(shared[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
