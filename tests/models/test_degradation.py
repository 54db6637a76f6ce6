"""The lecture's ordering: a deep plain net is hard to train, the residual net of equal size is not."""

import keras
import numpy as np
from harness import numpy
from sklearn.datasets import load_digits

from keras_lecture import losses, models, optimizers

DEPTH, SEEDS, EPOCHS = 32, (0, 1, 2), 3


def training_losses(net):
    """The loss of the last epoch from each seed. One model is compiled; every seed brings its own start."""
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


def test_plain_32_trains_worse_than_residual_32_from_every_seed():
    """Digits, 36 steps from each of three seeds, the same recipe for both nets: batch normalization, momentum, rate 0.1.

    Training loss in the third epoch, mean ± standard deviation over the seeds: MEASURED. The distance is many times the
    spread, and the worst residual run is far better than the best plain one.
    """
    plain, residual = training_losses(models.plain), training_losses(models.resnet)
    print(plain, residual)
    assert residual.max() < 0.6 * plain.min()
    assert plain.mean() - residual.mean() > 4 * max(plain.std(ddof=1), residual.std(ddof=1))
