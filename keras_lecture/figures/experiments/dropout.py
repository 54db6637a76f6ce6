"""The experiment of `dropout`: the signal in training and at inference, the gap it closes, and its committee."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture import data as datasets
from keras_lecture import layers, losses, models, optimizers
from keras_lecture._core import checks
from keras_lecture._core.random_state import same_random_state
from keras_lecture.figures.experiments._numbers import plain


def dropout(
    *,
    seed: int = 0,
    rate: float = 0.5,
    masks: int = 1000,
    examples: int = 300,
    wrong_labels: float = 0.2,
    units: int = 256,
    epochs: int = 60,
) -> dict[str, Any]:
    """Measures what dropout does to a signal, to the gap between training and other data, and as a committee.

    The signal is the input Σ wᵢ·hᵢ of a neuron with 100 random inputs h ≥ 0 and weights w ≥ 0, under many masks. The
    gap is that of a network with two hidden layers, with and without dropout: it is trained with Adam on some of
    scikit-learn's digits, of which a share has random labels, and tested on the others, whose labels are right. The
    committee is the trained dropout network under several masks, whose probabilities are averaged.

    Args:
        seed: Seed of all random numbers. Defaults to `0`.
        rate: Probability p that a value is dropped. Defaults to `0.5`.
        masks: Number of masks of the signal. Defaults to `1000`.
        examples: Number of training images. Defaults to `300`.
        wrong_labels: Share of the training images whose labels are redrawn at random. Defaults to `0.2`.
        units: Units of both hidden layers. Defaults to `256`.
        epochs: Passes through the training images. Defaults to `60`.

    Returns:
        `rate`; `signal`: `training` (one value per mask), `inference`, `unscaled`; `training_loss`, `held_out_loss` and
        `accuracy` (held-out), each with the lists `no dropout` and `dropout`, in inference mode after each `epoch`;
        `committee`: the held-out `loss` and `accuracy` of the mean over 1, 2, 3 … masks.

    Example:
        >>> data = keras_lecture.figures.experiments.dropout(examples=20, units=8, epochs=1)
        >>> len(data["signal"]["training"]), len(data["held_out_loss"]["dropout"])
        (1000, 1)

    Reference:
        Decks A, B and E; Srivastava et al., 2014, JMLR 15:1929.
    """
    checks.whole("dropout", "seed", seed, "[0, ∞)")
    checks.number("dropout", "rate", rate, "(0, 1)")
    for name, value in (("masks", masks), ("units", units), ("epochs", epochs)):
        checks.whole("dropout", name, value)
    checks.whole("dropout", "examples", examples, "[10, 1000]")
    checks.number("dropout", "wrong_labels", wrong_labels, "[0, 1]")
    training, held_out = _digits(seed, examples, wrong_labels)
    found: dict[str, Any] = {"rate": rate, "signal": _signal(seed, rate, masks)}
    found |= {key: {} for key in ("epoch", "training_loss", "held_out_loss", "accuracy")}
    with same_random_state():
        for name, given in (("no dropout", 0.0), ("dropout", rate)):
            keras.utils.set_random_seed(seed)
            model = models.mlp((64,), 10, units=(units, units), dropout=given)
            _train(found, name, model, training, held_out, epochs, seed)
        found["committee"] = _committee(model, *held_out)
    return found


def _digits(seed, examples, wrong_labels):
    x, y = datasets.load("digits")
    fractions = (examples / len(x), 1 - examples / len(x))
    (x, y), held_out = datasets.split(x.reshape(len(x), -1), y, fractions, seed=seed)
    generator = np.random.default_rng(seed)
    redrawn = generator.random(len(y)) < wrong_labels
    return (x, np.where(redrawn, generator.integers(0, 10, len(y)), y).astype("int32")), held_out


def _signal(seed, rate, masks):
    generator = np.random.default_rng(seed)
    h, w = np.abs(generator.normal(size=(2, 100))) / [[1.0], [100.0]]
    layer = layers.Dropout(rate, seed=seed, scaling="test", dtype="float32")
    rows = np.tile(h.astype("float32"), (masks, 1))
    outputs = [ops.convert_to_numpy(layer(rows, training=training)) @ w for training in (True, False)]
    return {
        "training": plain(outputs[0], 5),
        "inference": plain(outputs[1][0], 5),
        "unscaled": plain(h @ w, 5),
    }


def _train(found, name, model, training, held_out, epochs, seed):
    model.compile(optimizers.Adam(), losses.SoftmaxCrossEntropy())
    batches = datasets.Batches(*training, batch_size=50, seed=seed)
    both = _Both(training, held_out)
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[both])
    for key, values in both.found.items():
        found[key][name] = values


class _Both(keras.callbacks.Callback):
    """The losses on both sets in inference mode after every other epoch: the loss of `fit` is with dropout."""

    def __init__(self, training, held_out):
        super().__init__()
        self.sets = {"training_loss": training, "held_out_loss": held_out}
        self.found = {"epoch": [], "training_loss": [], "held_out_loss": [], "accuracy": []}

    def on_epoch_end(self, epoch, logs=None):
        if epoch % 2:
            return
        self.found["epoch"].append(epoch + 1)
        for key, (x, y) in self.sets.items():
            scores = ops.stop_gradient(self.model(x, training=False))
            self.found[key].append(plain(ops.convert_to_numpy(losses.SoftmaxCrossEntropy()(y, scores)), 5))
        self.found["accuracy"].append(plain(np.mean(ops.convert_to_numpy(scores).argmax(axis=-1) == y), 5))


def _committee(model, x, y, size=30):
    """Loss and accuracy of the mean probability over the first n masks, for each n."""
    total, found = 0.0, {"loss": [], "accuracy": []}
    for n in range(1, size + 1):
        total = total + ops.convert_to_numpy(ops.softmax(model(x, training=True))).astype("float64")
        right = (total / n)[np.arange(len(y)), y]
        found["loss"].append(plain(-np.log(right).mean(), 5))
        found["accuracy"].append(plain(np.mean(total.argmax(axis=-1) == y), 5))
    return found
