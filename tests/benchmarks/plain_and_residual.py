"""How deep plain and residual nets of equal size train: training loss and accuracy on the digits by depth.

    KERAS_BACKEND=torch python tests/benchmarks/plain_and_residual.py

Every cell is the mean ± standard deviation over the seeds 0, 1, 2 after five epochs; one recipe for all.
"""

import keras
import numpy as np
from measure import environment
from sklearn.datasets import load_digits

from keras_lecture import losses, models, optimizers

DEPTHS, SEEDS, EPOCHS, WIDTH = (8, 20, 32, 44, 56), (0, 1, 2), 5, 0.25


def train(net, depth, x, y):
    """Loss and accuracy of the last epoch from each seed."""
    ends = []
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        model = net(depth, (8, 8, 1), 10, width=WIDTH)
        rule = optimizers.Momentum(0.1, momentum=0.9)
        model.compile(rule, losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
        history = model.fit(x, y, batch_size=128, epochs=EPOCHS, verbose=0).history
        ends.append((history["loss"][-1], history["accuracy"][-1]))
    return np.array(ends)


def cell(values, digits):
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


def main():
    digits = load_digits()
    x, y = digits.images[:1536, ..., None].astype("float32") / 16, digits.target[:1536]
    print(environment() + "\n")
    print("| depth | parameters, plain and residual | loss, plain | loss, residual | accuracy, plain | residual |")
    print("|---|---|---|---|---|---|")
    for depth in DEPTHS:
        sizes = [net(depth, (8, 8, 1), 10, width=WIDTH).count_params() for net in (models.plain, models.resnet)]
        plain, residual = (train(net, depth, x, y) for net in (models.plain, models.resnet))
        cells = [cell(ends[:, place], 2) for place in (0, 1) for ends in (plain, residual)]
        print(f"| {depth} | {sizes[0]:,}, {sizes[1]:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
