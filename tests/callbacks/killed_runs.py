"""Kills one run repeatedly: python killed_runs.py FOLDER KILLS. Prints how each process began and ended, as JSON.

Each "life" of the run is a fork of this process, which has imported everything and computed nothing.
"""

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np

from keras_lecture.callbacks import ExactResume, GradientClipping
from keras_lecture.callbacks._resume import checkpoints

EPOCHS, BATCHES = 7, 8


class Beat(keras.callbacks.Callback):
    """Reports each batch that begins to the parent process."""

    def __init__(self, pipe):
        super().__init__()
        self.pipe = pipe

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        os.write(self.pipe, f"{self.epoch} {batch}\n".encode())


def train(folder, pipe):
    """The script of a user; saves its final variables and history."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(BATCHES * 4, 3)), rng.normal(size=(BATCHES * 4, 1))
    body = [
        keras.layers.Dense(4),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((3,)), *body])
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    callbacks = [ExactResume(folder, every=2), GradientClipping(percentile=50.0), Beat(pipe)]
    history = model.fit(x, y, batch_size=4, epochs=EPOCHS, verbose=0, callbacks=callbacks).history
    variables = [*model.variables, *model.optimizer.variables]
    values = {str(index): keras.ops.convert_to_numpy(v) for index, v in enumerate(variables)}
    np.savez(f"{folder}.npz", **values, **{f"history of {name}": np.array(logs) for name, logs in history.items()})


def live(folder):
    """Forks a process that trains; returns its id and a file of its messages."""
    receiving, sending = os.pipe()
    process = os.fork()
    if process:
        os.close(sending)
        return process, os.fdopen(receiving)
    plain = os.fsync

    def slow(descriptor):
        os.write(sending, b"writing\n")
        time.sleep(0.02)
        plain(descriptor)

    os.fsync = slow
    try:
        train(folder, sending)
    finally:
        sys.stdout.flush()
        os._exit(sys.exc_info()[0] is not None)


def latest(folder):
    """Epoch and batch of the latest checkpoint; reads every file."""
    trees = [checkpoints.read(path) for path in sorted(Path(folder).glob("run-*.npz"))]
    return [trees[-1]["epoch"], trees[-1]["batch"]] if trees else [0, 0]


def run(folder, kills):
    """Restarts the run until it is finished; for each life: expected and actual first batch, and exit status."""
    chance, lives = random.Random(0), []
    while not lives or lives[-1]["status"] == -signal.SIGKILL:
        life = {"expected": latest(folder), "began": None, "moment": chance.choice(["batch", "batch", "writing"])}
        countdown = chance.randint(1, 6 if life["moment"] == "batch" else 4)
        process, messages = live(folder)
        for message in messages:
            if message != "writing\n" and life["began"] is None:
                life["began"] = [int(number) for number in message.split()]
            countdown -= (message == "writing\n") == (life["moment"] == "writing")
            if countdown == 0 and len(lives) < kills:
                time.sleep(chance.uniform(0.0, 0.01))
                os.kill(process, signal.SIGKILL)
                break
        messages.close()
        life["status"] = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        lives.append(life)
    return lives


if __name__ == "__main__":
    folder, kills = sys.argv[1], int(sys.argv[2])
    # Triggers Keras's late imports once, before the forks.
    keras.utils.set_random_seed(0)
    warnings.simplefilter(
        "ignore"
    )  # JAX warns of forks while it has threads; it has none before the first computation.
    print(json.dumps({"killed": run(f"{folder}/killed", kills), "whole": run(f"{folder}/whole", 0)}))
