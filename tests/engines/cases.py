"""The trainings of `test_engines.py`: every case returns numbers that must not depend on the engine.

A case is a function of an engine (devices.py). The numbers of the engine `Alone` are the oracle of all others.
"""

import tempfile

import keras
import numpy as np
from support.harness import BACKEND, bound
from support.small_fit import COMPILED, Kill

from keras_lecture import callbacks, layers, optimizers

RULES = ("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam", "RectifiedAdam")
SETTINGS = {"weight_decay": 0.1, "l1": 1e-3}
SIZE = 8  # of a global batch; there are two
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(2 * SIZE, 4)).astype("float32")
Y = GENERATOR.normal(size=(2 * SIZE, 4)).astype("float32")
# One fault in the second batch, among the samples of the last device.
BROKEN = np.where(np.arange(2 * SIZE)[:, None] == 2 * SIZE - 1, np.nan, Y).astype("float32")


def network(*between):
    """A small network whose kernels and biases can be split over four devices."""
    keras.utils.set_random_seed(0)
    dense = [keras.layers.Dense(8, "tanh", name="dense_in"), keras.layers.Dense(4, name="dense_out")]
    return keras.Sequential([keras.Input((4,)), dense[0], *between, dense[1]])


def compiled(engine, make, between=()):
    with engine.scope():
        model = network(*(layer() for layer in between))
        model.compile(bound(make(), model), "mse", **COMPILED)
    return model


def trained(engine, make, *watching, targets=Y, between=(), epochs=2):
    """The model and the logs of `epochs` unshuffled epochs of two batches."""
    model = compiled(engine, make, between)
    return model, engine.fit(model, X, targets, SIZE, epochs, list(watching))


def numbers(model, logs=None, *names):
    """Weights and statistics, and the named logs."""
    found = {str(n): np.ravel(w).astype("float64").tolist() for n, w in enumerate(model.get_weights())}
    return found | {name: list(map(float, logs[name])) for name in names}


CASES = {}


def case(function):
    CASES[function.__name__.replace("_", " ")] = function
    return function


def _rule(name, **settings):
    return lambda engine: numbers(trained(engine, lambda: getattr(optimizers, name)(0.05, **settings))[0])


CASES |= {name: _rule(name, **SETTINGS) for name in RULES}
# Limits that bind in every step; without the devices' mean, each device clips another gradient.
CASES |= {
    f"{limit} of a rule": _rule("Adam", **{limit: 0.05}) for limit in ("clipnorm", "global_clipnorm", "clipvalue")
}


@case
def averages(engine):
    lookahead = lambda: optimizers.Lookahead(optimizers.Adam(0.05), period=2)  # noqa: E731
    return numbers(trained(engine, lambda: optimizers.StochasticWeightAverage(lookahead(), start=3))[0])


@case
def population_statistics(engine):
    """The moments of the global batch: what `synchronized` is for where a device sees only a part of it."""
    make = lambda: layers.BatchNormalization(statistics="population", synchronized=True)  # noqa: E731
    return numbers(trained(engine, lambda: optimizers.Adam(0.05), between=[make])[0])


@case
def moving_statistics(engine):
    make = lambda: layers.BatchNormalization(momentum=0.5, synchronized=True)  # noqa: E731
    return numbers(trained(engine, lambda: optimizers.SGD(0.05), between=[make])[0])


@case
def recalibrated_statistics(engine):
    model = compiled(engine, lambda: optimizers.SGD(0.05), [layers.BatchNormalization])
    layers.recalibrate(model, X, batch_size=SIZE, verbose=0)
    return numbers(model)


# The cases below need `fit`; a hand-written loop has no callbacks, and passes a search no loss.
FITS = {}


def fits(function):
    FITS[function.__name__.replace("_", " ")] = function
    return function


def _search(make, epochs=2):
    return lambda engine: numbers(trained(engine, make, epochs=epochs)[0])


# L-BFGS is compared before its line search reaches the minimum to float32, where rounding decides.
SEARCHES = {
    "Armijo": _search(lambda: optimizers.Armijo()),
    "Armijo, Adam's direction": _search(lambda: optimizers.Armijo(direction="adam")),
    "LBFGS": _search(lambda: optimizers.LBFGS(iterations=2, memory=2), epochs=1),
    "NewtonCG": _search(lambda: optimizers.NewtonCG(iterations=3), epochs=1),
}
FITS |= SEARCHES


@fits
def clipping_and_monitor(engine):
    watching = callbacks.GradientClipping(global_norm=0.3), callbacks.GradientMonitor(per_layer=True, histogram=True)
    model, logs = trained(engine, lambda: optimizers.Adam(0.05), *watching, epochs=3)
    names = [name for name in logs if "norm" in name or "ratio" in name or "clipped" in name]
    assert len(names) == 2 + 3 * 3
    histograms = {name: np.ravel(h).tolist() for name, h in watching[1].histograms.items()}
    return numbers(model, logs, *names) | histograms


@fits
def clipping_by_percentile(engine):
    clipping = callbacks.GradientClipping(percentile=50)
    model, logs = trained(engine, lambda: optimizers.SGD(0.05), clipping, epochs=3)
    window = {"window": np.ravel(clipping.state()["norms"][:8]).tolist(), "seen": [int(clipping.state()["seen"])]}
    return numbers(model, logs, "norm_before_clipping", "clipped_share") | window


@fits
def monitor_of_every_second_step(engine):
    monitor = callbacks.GradientMonitor(every=2)
    model, logs = trained(engine, lambda: keras.optimizers.Adam(0.05), monitor, epochs=3)
    return numbers(model, logs, "gradient_norm", "weight_norm", "update_ratio")


@fits
def a_faulty_batch_skipped(engine):
    clipping = callbacks.GradientClipping(global_norm=0.3, on_nonfinite="skip")
    # Not Adam, which divides gradients near 0 by their size, so that rounding shows; and which hid that each step of
    # TensorFlow's replicas was divided by their number wherever a step may be skipped.
    model, logs = trained(engine, lambda: optimizers.Momentum(0.05), clipping, targets=BROKEN)
    return numbers(model, logs, "nonfinite_steps") | {"total": [clipping.nonfinite_steps]}


@fits
def terminated_on_nonfinite(engine):
    guard = callbacks.TerminateOnNonFinite()
    model, logs = trained(engine, lambda: optimizers.Adam(0.05), guard, targets=BROKEN, epochs=3)
    return numbers(model) | {"place": [guard.finding.epoch, guard.finding.batch, len(logs["loss"])]}


@fits
def loss_scaling_with_a_monitor(engine):
    def scaled():
        return keras.optimizers.LossScaleOptimizer(optimizers.Adam(0.05), initial_scale=8.0, dynamic_growth_steps=2)

    watching = callbacks.GradientClipping(global_norm=0.3), callbacks.GradientMonitor()
    model, logs = trained(engine, scaled, *watching)
    return numbers(model, logs, "gradient_norm", "clipped_share")


@fits
def loss_scaling(engine):
    scaled = lambda: keras.optimizers.LossScaleOptimizer(optimizers.Adam(0.05), initial_scale=8.0)  # noqa: E731
    return numbers(trained(engine, scaled)[0])


@fits
def resumed_after_a_kill(engine):
    """Must also have the numbers of the case `Adam`, which is not interrupted."""
    make = lambda: optimizers.Adam(0.05, **SETTINGS)  # noqa: E731
    with tempfile.TemporaryDirectory() as folder:
        try:
            trained(engine, make, callbacks.ExactResume(folder, every=1), Kill(1, 1))
            raise AssertionError("the run was not killed")
        except KeyboardInterrupt:
            pass
        return numbers(trained(engine, make, callbacks.ExactResume(folder, every=1))[0])


def _moved(source, target):
    """Deep, because many small slots once shared one variable, except in data-parallel training: 6 variables or 70."""
    deep = [lambda: keras.layers.Dense(8, "tanh")] * 16
    # Not Adam, whose first steps divide gradients near 0, of which rounding is the larger part, by their size.
    model, _ = trained(source, lambda: optimizers.Momentum(0.05, **SETTINGS), between=deep, epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        with source.scope():
            model.save(f"{folder}/model.keras")
        with target.scope():
            model = keras.models.load_model(f"{folder}/model.keras")
            if BACKEND == "tensorflow":
                model.jit_compile = False
    target.fit(model, X, Y, SIZE, 1, [])
    return numbers(model)


@fits
def saved_here_and_continued_on_one_device(engine):
    return _moved(engine, engine.alone)


@fits
def saved_on_one_device_and_continued_here(engine):
    return _moved(engine.alone, engine)
