"""Digits in float16 with loss scaling, bfloat16 and float64: half a point of float32, and statistics that are finite.

Oracle: the accuracy of the same network in float32, on the 1,797 digits that it was trained on (one is 0.06 points);
for the losses of numbers, the percentage of the variance that is explained. Tolerance: 0.5 points of accuracy, or 1
point of the variance, below it. The data, their order and the initial weights are the same. The training is long enough
for most networks to end near 100 %, where chance changes little.
"""

import functools

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from support.harness import bound, precision
from support.small_fit import COMPILED

from keras_lecture import callbacks, layers, losses, optimizers

IMAGES, LABELS = load_digits(return_X_y=True)
IMAGES = np.repeat(IMAGES.reshape(-1, 8, 8, 1) / 16, 3, -1).astype("float32")
EXACT = np.eye(10, dtype="float32")[LABELS]
# Ten numbers for the losses of numbers: the means of the rows and of two columns.
MEANS = np.concatenate([IMAGES[..., 0].mean(2), IMAGES[..., 0].mean(1)[:, 3:5]], axis=1)
EPOCHS = 30
POLICIES = ("mixed_float16", "mixed_bfloat16", "float64")


def flat(*between):
    dense = keras.layers.Dense(32), keras.layers.Dense(10)
    return [keras.layers.Flatten(), dense[0], *between, keras.layers.ReLU(), dense[1]]


def convolved(*between):
    top = keras.layers.Flatten(), keras.layers.Dense(10)
    return [keras.layers.Conv2D(8, 3, padding="same"), *between, keras.layers.ReLU(), *top]


def first(*before):
    return [*before, *flat()]


def pooled(layer, *shape):
    return convolved(keras.layers.Reshape(shape), layer)


NETWORKS = {
    "BatchNormalization": lambda: flat(layers.BatchNormalization(momentum=0.9)),
    "BatchNormalization, population": lambda: convolved(layers.BatchNormalization(statistics="population")),
    "GroupNormalization": lambda: convolved(layers.GroupNormalization(2)),
    "InstanceNormalization": lambda: convolved(layers.InstanceNormalization()),
    "LayerNormalization": lambda: flat(layers.LayerNormalization()),
    "LocalContrastNormalization": lambda: convolved(layers.LocalContrastNormalization(3)),
    "LocalResponseNormalization": lambda: convolved(layers.LocalResponseNormalization()),
    "WeightNormalization": lambda: flat(layers.WeightNormalization(keras.layers.Dense(32))),
    "DropConnect": lambda: flat(layers.DropConnect(keras.layers.Dense(32), rate=0.1)),
    "Dropout": lambda: flat(layers.Dropout(0.1)),
    "StochasticDepth": lambda: flat(layers.StochasticDepth(0.1)),
    "PReLU": lambda: flat(layers.PReLU()),
    "Maxout": lambda: flat(layers.Maxout(32, pieces=2)),
    "MaxoutConv2D": lambda: convolved(layers.MaxoutConv2D(8, 3, pieces=2)),
    "MaxPooling1D": lambda: pooled(layers.MaxPooling1D(2), 64, 8),
    "MaxPooling2D": lambda: convolved(layers.MaxPooling2D(2)),
    "MaxPooling3D": lambda: pooled(layers.MaxPooling3D(2), 8, 8, 8, 1),
    "Upscale2D": lambda: convolved(layers.Upscale2D(2)),
    "DenseBlock": lambda: convolved(layers.DenseBlock(4, layers=2)),
    "ResidualBlock": lambda: convolved(layers.ResidualBlock(8)),
    "TransitionBlock": lambda: convolved(layers.TransitionBlock()),
    "AtrousSpatialPyramidPooling": lambda: convolved(layers.AtrousSpatialPyramidPooling(8, rates=[1, 2])),
    "Jitter": lambda: first(layers.Jitter(0.02)),
    "PCAColor": lambda: first(
        layers.PCAColor(0.02, value_range=(0, 1), eigenvectors=np.eye(3).tolist(), eigenvalues=[1.0, 1.0, 1.0])
    ),
    "RandomAffine": lambda: first(layers.RandomAffine(rotation=2.0)),
    "RandomCropFlip": lambda: first(layers.RandomCropFlip(8, 8, padding=1, flip_rate=0.0)),
    "ZeroCenter": lambda: first(layers.ZeroCenter(mean=[0.3, 0.3, 0.3])),
}
LOSSES = {name: getattr(losses, name) for name in losses.__all__}
RULES = {
    "SGD": lambda: optimizers.SGD(0.3),
    "Momentum": lambda: optimizers.Momentum(0.05),
    "Nesterov": lambda: optimizers.Nesterov(0.05),
    "AdaGrad": lambda: optimizers.AdaGrad(0.05),
    "RMSProp": lambda: optimizers.RMSProp(0.003),
    "Adam": lambda: optimizers.Adam(0.01),
    "RectifiedAdam": lambda: optimizers.RectifiedAdam(0.01),
    "Lookahead": lambda: optimizers.Lookahead(optimizers.Adam(0.01)),
    "StochasticWeightAverage": lambda: optimizers.StochasticWeightAverage(optimizers.Adam(0.01), start=200),
    "Armijo": lambda: optimizers.Armijo(),
    "LBFGS": lambda: optimizers.LBFGS(memory=5),
    "NewtonCG": lambda: optimizers.NewtonCG(iterations=5),
    "Newton": lambda: optimizers.Newton(),
}
WATCHING = {
    "GradientClipping, value": lambda: callbacks.GradientClipping(value=0.01),
    "GradientClipping, norm": lambda: callbacks.GradientClipping(norm=0.1),
    "GradientClipping, global_norm": lambda: callbacks.GradientClipping(global_norm=0.1),
    "GradientClipping, unit_norm": lambda: callbacks.GradientClipping(unit_norm=0.05),
    "GradientClipping, percentile": lambda: callbacks.GradientClipping(percentile=50, on_nonfinite="skip"),
    "GradientMonitor": lambda: callbacks.GradientMonitor(per_layer=True, histogram=True),
    "TerminateOnNonFinite": lambda: callbacks.TerminateOnNonFinite(),
    "EarlyStopping": lambda: callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True),
    "ReduceLearningRate": lambda: callbacks.ReduceLearningRate("loss", patience=9),
    "LearningRateFinder": lambda: callbacks.LearningRateFinder(learning_rates=(1e-4, 0.1), steps=20, apply=False),
    "TimeStopping": lambda: callbacks.TimeStopping(1e6),
    "Doctor": lambda: callbacks.Doctor(verbose=0),
}


def built(policy, network):
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((8, 8, 3)), *network()])


def trained(policy, network=flat, loss=losses.SoftmaxCrossEntropy, rule=RULES["Adam"], watching=(), targets=EXACT):
    """The accuracy or the explained variance in percent; everything that the training keeps must be finite."""
    # In another precision the same seed gives other numbers.
    start = built("float32", network).get_weights()
    with precision("float64" if policy == "float64" else "float32"):
        model = built(policy, network)
        model.set_weights(start)
        model.compile(bound(rule(), model), loss(), **COMPILED)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
        history = model.fit(IMAGES, targets, batch_size=128, epochs=EPOCHS, verbose=0, callbacks=list(watching)).history
        for name, values in history.items():
            assert np.isfinite(values).all(), f"{name}: {values}"
        for variable in [*model.variables, *model.optimizer.variables]:
            assert np.isfinite(keras.ops.convert_to_numpy(variable).astype("float64")).all(), variable.path
        scores = model.predict(IMAGES, batch_size=1797, verbose=0)
    if targets is EXACT:
        return 100 * np.mean(np.argmax(scores, -1) == LABELS)
    return 100 * (1 - np.mean((scores.astype("float64") - targets) ** 2) / np.mean((targets - targets.mean(0)) ** 2))


@functools.cache
def in_float32(area, name):
    return trained("float32", **AREAS[area](name))


NUMBERS = {"targets": MEANS, "rule": lambda: optimizers.Adam(0.002)}
AREAS = {
    "layer": lambda name: {"network": NETWORKS[name]},
    "loss": lambda name: {"loss": LOSSES[name]} | (NUMBERS if name in ("L1", "L2") else {}),
    "optimizer": lambda name: {"rule": RULES[name]} | ({"network": _linear} if name == "Newton" else {}),
    "callback": lambda name: {"watching": [WATCHING[name]()]},
}
UNITS = [(area, name) for area, names in zip(AREAS, (NETWORKS, LOSSES, RULES, WATCHING), strict=True) for name in names]


def _linear():
    """For Newton, whose matrix has a row for each weight."""
    return [keras.layers.Flatten(), keras.layers.Dense(10)]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("area", "name"), UNITS, ids=lambda value: value)
def test_digits_as_in_float32(area, name, policy):
    expected = in_float32(area, name)
    found = trained(policy, **AREAS[area](name))
    print(f"{area} {name} {policy}: {found:.2f} against {expected:.2f}")
    assert expected > 80
    assert found >= expected - (1.0 if name in ("L1", "L2") else 0.5)
