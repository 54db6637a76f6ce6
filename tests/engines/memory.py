"""Prints what a device holds of a model, its Adam and its batch, by the number of JAX's devices, as a Markdown table.

KERAS_BACKEND=jax PYTHONPATH=.:tests python tests/engines/memory.py
"""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import keras
import numpy as np
from devices import Alone, Sharded

from keras_lecture import optimizers

SAMPLES = 256


def megabytes(engine):
    """Weights, optimizer state and batch on the first device."""
    with engine.scope():
        hidden = [keras.layers.Dense(1024, "relu") for _ in range(4)]
        model = keras.Sequential([keras.Input((1024,)), *hidden, keras.layers.Dense(16)])
        model.optimizer = optimizers.Adam()
        model.optimizer.build(model.trainable_variables)
        distribution = keras.distribution.distribution()
        batch = np.zeros((SAMPLES, 1024), "float32")
        if distribution is not None:
            layout = distribution.get_data_layout(batch.shape)
            batch = keras.distribution.distribute_tensor(batch, layout)
        values = [[v.value for v in model.variables], [v.value for v in model.optimizer.variables], [batch]]
    return [sum(map(_on_the_first_device, group)) / 2**20 for group in values]


def _on_the_first_device(value):
    return value.addressable_shards[0].data.nbytes if hasattr(value, "addressable_shards") else value.nbytes


if __name__ == "__main__":
    print("| engine | devices | weights | optimizer state | batch |\n|---|---|---|---|---|")
    rows = [("one device", 1, Alone())]
    rows += [("DataParallel", count, Sharded(count, False)) for count in (2, 4, 8)]
    rows += [("ModelParallel, 2 × n/2", count, Sharded(count, True)) for count in (4, 8)]
    for title, count, engine in rows:
        print(f"| {title} | {count} |", " | ".join(f"{part:.2f} MB" for part in megabytes(engine)), "|")
