"""How long to 97 % and 98.5 % on 10,000 images of MNIST: our recipe, Keras's Adam, and a plain PyTorch loop.

    KERAS_BACKEND=jax python tests/benchmarks/mnist.py [FILE]

FILE, or the environment variable MNIST_FILE, is an `.npz` with `x` (10,000 × 28 × 28 bytes) and `y`; by default
`../shared/data/mnist10k.npz` beside the repository. All three train the same all-convolutional net on the first 8,000
images, one process after the other, and are judged on the last 2,000 after each epoch. Seconds are those of training,
compilation included, judging left out.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
from measure import environment

from keras_lecture import layers, losses, models, optimizers

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist10k.npz"
EPOCHS, BATCH_SIZE, TRAINING = 10, 64, 8000
WIDTH, DROPOUT = 0.25, 0.1
LEVELS = 0.97, 0.985
CONTENDERS = {
    "ours": "`RandomAffine`, our `Adam`, one cosine",
    "keras": "`keras.optimizers.Adam()`",
    "torch": "plain PyTorch loop, `torch.optim.Adam()`",
}


def data(path):
    with np.load(path) as file:
        x, y = (file["x"][..., None] / 255.0).astype("float32"), file["y"].astype("int64")
    return (x[:TRAINING], y[:TRAINING]), (x[TRAINING:], y[TRAINING:])


def net():
    # PyTorch's momentum: 0.99, Keras's, is too long a memory for 125 batches an epoch.
    normalization = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    options = {"width": WIDTH, "dropout": DROPOUT, "input_dropout": 0.0, "normalization": normalization}
    return models.all_conv((28, 28, 1), 10, **options)


class Judge(keras.callbacks.Callback):
    """Test accuracy after each epoch, and the seconds of training until then."""

    def __init__(self, test):
        super().__init__()
        self.test = test
        self.seconds, self.curve = 0.0, []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds += time.perf_counter() - self.start
        x, y = self.test
        scores = keras.ops.convert_to_numpy(self.model.predict(x, batch_size=500, verbose=0))
        self.curve.append((self.seconds, float(np.mean(scores.argmax(-1) == y))))


def fit(model, optimizer, train, test):
    model.compile(optimizer, loss=losses.SoftmaxCrossEntropy())
    judge = Judge(test)
    model.fit(*train, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0, callbacks=[judge])
    return judge.curve


def ours(train, test):
    augmentation = layers.RandomAffine(rotation=8.0, shift=0.07, stretch=0.1)
    rate = optimizers.schedules.WarmRestarts(3e-3, period=EPOCHS).per_epoch(steps=-(-TRAINING // BATCH_SIZE))
    model = keras.Sequential([keras.Input((28, 28, 1)), augmentation, net()])
    return fit(model, optimizers.Adam(rate), train, test)


def keras_adam(train, test):
    return fit(net(), keras.optimizers.Adam(), train, test)


def torch_adam(train, test):
    """The net of `net()` and a training loop as PyTorch's tutorials write them."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    stack, channels = [], 1
    first, second = round(96 * WIDTH), round(192 * WIDTH)
    shapes = [(first, 3, 1, 1)] * 2 + [(first, 3, 2, 1)] + [(second, 3, 1, 1)] * 2 + [(second, 3, 2, 1)]
    for filters, size, stride, padding in [*shapes, (second, 3, 1, 0), (second, 1, 1, 0)]:
        stack += [nn.Conv2d(channels, filters, size, stride, padding, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
        stack += [nn.Dropout(DROPOUT)] if stride == 2 else []
        channels = filters
    model = nn.Sequential(*stack, nn.Conv2d(channels, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    optimizer, loss = torch.optim.Adam(model.parameters()), nn.CrossEntropyLoss()
    (x, y), (x_test, y_test) = (
        (torch.tensor(x).movedim(-1, 1).contiguous(), torch.tensor(y)) for x, y in (train, test)
    )
    seconds, curve = 0.0, []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        model.train()
        for batch in torch.randperm(len(x)).split(BATCH_SIZE):
            optimizer.zero_grad()
            loss(model(x[batch]), y[batch]).backward()
            optimizer.step()
        seconds += time.perf_counter() - start
        model.eval()
        with torch.no_grad():
            guesses = torch.cat([model(part).argmax(-1) for part in x_test.split(500)])
        curve.append((seconds, float((guesses == y_test).float().mean())))
    return curve


def row(name, curve):
    """A line of the table: seconds to each level, best and last accuracy, seconds in all."""
    reached = [next((f"{seconds:.0f} s" for seconds, value in curve if value >= level), "–") for level in LEVELS]
    best, last = max(value for _, value in curve), curve[-1][1]
    return f"| {CONTENDERS[name]} | {' | '.join(reached)} | {last:.2%} | {best:.2%} | {curve[-1][0]:.0f} s |"


def main(path):
    print(environment() + f"; all_conv, width {WIDTH}, {net().count_params():,} parameters, {EPOCHS} epochs\n")
    print("| | to 97 % | to 98.5 % | at the end | best | in all |\n|---|---|---|---|---|---|", flush=True)
    for name in CONTENDERS:
        done = subprocess.run([sys.executable, __file__, path, name], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        print(row(name, json.loads(done.stdout.splitlines()[-1])), flush=True)


if __name__ == "__main__":
    given = sys.argv[1:] or [os.environ.get("MNIST_FILE", str(DEFAULT))]
    if not Path(given[0]).exists():
        print(f"skipped: there is no {given[0]}; pass the file, or set MNIST_FILE")
    elif len(given) == 1:
        main(given[0])
    else:
        keras.utils.set_random_seed(0)
        contender = {"ours": ours, "keras": keras_adam, "torch": torch_adam}[given[1]]
        print(json.dumps(contender(*data(given[0]))))
