"""Two logical devices under a mirrored strategy: the weights after training there and on one device."""

import contextlib
import tempfile

import tensorflow as tf

devices = [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()]
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)

import keras  # noqa: E402
import numpy as np  # noqa: E402
from shared_task import COMPILED, SETTINGS, answer, loaded_state, save_deep, train, weights  # noqa: E402

from keras_lecture import optimizers  # noqa: E402

STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
OPTIMIZERS = {rule: lambda rule=rule: getattr(optimizers, rule)(0.05, **SETTINGS) for rule in COMPILED}
OPTIMIZERS |= {
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(optimizers.Adam(0.05), initial_scale=8.0),
    "averages": lambda: optimizers.StochasticWeightAverage(
        optimizers.Lookahead(optimizers.Adam(0.05), period=2), start=3
    ),
}

results = {"replicas": STRATEGY.num_replicas_in_sync}
for name, make in OPTIMIZERS.items():
    with STRATEGY.scope():
        mirrored = train(make())
    values = [[np.asarray(v) for v in w.value.values] for w in mirrored.trainable_variables]
    assert all(np.array_equal(*copies) for copies in values), f"{name}: the replicas differ"
    results[name] = [weights(train(make(), run_eagerly=True)), weights(mirrored)]
results["states"] = []
with tempfile.TemporaryDirectory() as folder:
    for name, scope in (("one", contextlib.nullcontext), ("two", STRATEGY.scope)):
        with scope():
            save_deep(f"{folder}/{name}.keras")
    for scope in (contextlib.nullcontext, STRATEGY.scope):
        with scope():
            results["states"] += [loaded_state(f"{folder}/{name}.keras") for name in ("one", "two")]
answer(results)
