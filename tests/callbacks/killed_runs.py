"""Ends one run repeatedly and prints how each process began and ended, as JSON.

python killed_runs.py FOLDER ENDS [EPOCHS [TERM]]      by SIGKILL, or by SIGTERM; in 7 epochs, or more

Each "life" of the run is a fork of this process, which has imported everything and computed nothing.
"""

import json
import os
import random
import signal
import sys
import time
import warnings
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np

from keras_lecture.callbacks import AverageModelCheckpoint, ExactResume, GradientClipping
from keras_lecture.callbacks._resume import checkpoints

BATCHES = 8
ENDED = {-signal.SIGKILL, 128 + signal.SIGTERM}


class Beat(keras.callbacks.Callback):
    """Reports each batch that begins to the parent process."""

    def __init__(self, pipe):
        super().__init__()
        self.pipe = pipe

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        os.write(self.pipe, f"{self.epoch} {batch}\n".encode())


def train(folder, pipe, epochs):
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
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9, use_ema=True), "mse")
    beside = [AverageModelCheckpoint(f"{folder}-average.keras"), keras.callbacks.ModelCheckpoint(f"{folder}.keras")]
    callbacks = [ExactResume(folder, every=2), GradientClipping(percentile=50.0), Beat(pipe), *beside]
    history = model.fit(x, y, batch_size=4, epochs=epochs, verbose=0, callbacks=callbacks).history
    variables = [*model.variables, *model.optimizer.variables]
    values = {str(index): keras.ops.convert_to_numpy(v) for index, v in enumerate(variables)}
    np.savez(f"{folder}.npz", **values, **{f"history of {name}": np.array(logs) for name, logs in history.items()})


def live(folder, epochs):
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

    os.fsync, status = slow, 1
    try:
        train(folder, sending, epochs)
        status = 0
    except SystemExit as end:
        status = end.code
    finally:
        sys.stdout.flush()
        os._exit(status)


def latest(folder):
    """Epoch and batch of the latest checkpoint; reads every file."""
    trees = [checkpoints.read(path) for path in sorted(Path(folder).glob("run-*.npz"))]
    return [trees[-1]["epoch"], trees[-1]["batch"]] if trees else [0, 0]


def is_intact(path):
    """Whether a saved model is complete, or not there yet."""
    if not Path(path).exists():
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False


def run(folder, ends, epochs, by=signal.SIGKILL):
    """Restarts the run until it is finished.

    For each life: the latest file before it, its first and last batch, its exit status, and whether the averaged model
    and that of Keras's `ModelCheckpoint` are intact.
    """
    chance, lives = random.Random(0), []
    while not lives or lives[-1]["status"] in ENDED:
        life = {"expected": latest(folder), "began": None, "moment": chance.choice(["batch", "batch", "writing"])}
        countdown = chance.randint(1, 6 if life["moment"] == "batch" else 4)
        process, messages = live(folder, epochs)
        for message in messages:
            if message != "writing\n":
                life["last"] = [int(number) for number in message.split()]
                life["began"] = life["began"] or life["last"]
            countdown -= (message == "writing\n") == (life["moment"] == "writing")
            if countdown == 0 and len(lives) < ends:
                time.sleep(chance.uniform(0.0, 0.01))
                os.kill(process, by)
                if by == signal.SIGKILL:
                    break
        messages.close()
        life["status"] = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        life["intact"] = [is_intact(f"{folder}-average.keras"), is_intact(f"{folder}.keras")]
        lives.append(life)
    return lives


if __name__ == "__main__":
    folder, ends, epochs, by, *_ = *sys.argv[1:], *["", "7", "KILL"][len(sys.argv) - 2 :]
    # Triggers Keras's late imports once, before the forks.
    keras.utils.set_random_seed(0)
    warnings.simplefilter(
        "ignore"
    )  # JAX warns of forks while it has threads; it has none before the first computation.
    arguments = int(ends), int(epochs), signal.Signals[f"SIG{by}"]
    print(json.dumps({"ended": run(f"{folder}/ended", *arguments), "whole": run(f"{folder}/whole", 0, int(epochs))}))
