"""As in the lecture, a deep plain network is hard to train, a residual one of equal size is not."""

import keras
import numpy as np
from sklearn.datasets import load_digits
from support.harness import numpy

from keras_lecture import losses, models, optimizers

DEPTH, SEEDS, EPOCHS = 20, (0, 1, 2), 3


def training_losses(net):
    """The loss of the last epoch for each seed; the model is compiled once, and each seed sets its initial weights."""
    digits = load_digits()
    x, y = digits.images[:1536, ..., None].astype("float32") / 16, digits.target[:1536]
    model = net(DEPTH, (8, 8, 1), 10, width=0.25)
    model.compile(optimizers.Momentum(0.1, momentum=0.9), losses.SoftmaxCrossEntropy())
    model.optimizer.build(model.trainable_variables)
    start, last = [numpy(v) for v in model.optimizer.variables], []
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        model.set_weights(net(DEPTH, (8, 8, 1), 10, width=0.25).get_weights())
        for variable, value in zip(model.optimizer.variables, start, strict=True):
            variable.assign(value)
        last.append(model.fit(x, y, batch_size=128, epochs=EPOCHS, verbose=0).history["loss"][-1])
    return np.array(last)


def test_a_plain_network_trains_worse_than_the_residual_network_with_every_seed():
    """20 layers on digits, 36 steps with each of three seeds; both with momentum and a learning rate of 0.1.

    Training loss of the third epoch, mean ± standard deviation over the seeds 0, 1, 2: plain 1.23 ± 0.02, 1.00 ± 0.19,
    1.14 ± 0.37 and residual 0.26 ± 0.05, 0.26 ± 0.05, 0.32 ± 0.09 on PyTorch, TensorFlow and JAX.
    docs/benchmarks/plain_and_residual.md has other depths.
    """
    plain, residual = training_losses(models.plain), training_losses(models.resnet)
    assert residual.max() < 0.6 * plain.min()
    error = np.hypot(plain.std(ddof=1), residual.std(ddof=1)) / len(SEEDS) ** 0.5
    assert plain.mean() - residual.mean() > 3 * error
