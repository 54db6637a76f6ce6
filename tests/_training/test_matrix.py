"""Every optimizer under every callback, in the phases of a notebook: the same weights as without callbacks.

The oracle of a cell is the same run without callbacks. The oracle of that run is, phase by phase, a new model with the
weights before the phase: a new `compile` must take effect, whatever has trained the model before.
"""

import functools

import keras
import numpy as np
import pytest
from support import own_steps
from support.small_fit import COMPILED, Break, X, Y, built, fit

from keras_lecture import callbacks, optimizers
from keras_lecture.optimizers import schedules

# The same float32 operations in different compiled programs.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
OPTIMIZERS = {
    "SGD": lambda rate, model: keras.optimizers.SGD(rate),
    "Nesterov": lambda rate, model: optimizers.Nesterov(rate).bind(model),
    "Adam": lambda rate, model: optimizers.Adam(rate),
    "Lookahead": lambda rate, model: optimizers.Lookahead(optimizers.Momentum(rate), period=2),
    "Armijo": lambda rate, model: optimizers.Armijo().bind(model),
    "LBFGS": lambda rate, model: optimizers.LBFGS(iterations=1, memory=2).bind(model),
}
SEARCHES = ("Armijo", "LBFGS")

CALLBACKS = {
    "GradientMonitor": lambda: [callbacks.GradientMonitor(per_layer=True)],
    "GradientClipping": lambda: [callbacks.GradientClipping(global_norm=1e6, on_nonfinite="skip")],
    "both": lambda: [callbacks.GradientClipping(unit_norm=1e6), callbacks.GradientMonitor(per_layer=True)],
    "TerminateOnNonFinite": lambda: [callbacks.TerminateOnNonFinite()],
    "ReduceLearningRate": lambda: [callbacks.ReduceLearningRate("loss", patience=99)],
    "sweep": lambda: [],
}


def compiled(model, name, rate, loss="mse", **options):
    if options.pop("schedule", True) and name not in SEARCHES:
        rate = schedules.Exponential(rate, factor=0.5, period=3)
    optimizer = OPTIMIZERS[name](rate, model)
    if "clipnorm" in options:
        optimizer.clipnorm = options.pop("clipnorm")
    model.compile(optimizer, loss, **COMPILED, **options)


PHASES = {
    "first": lambda model, name: compiled(model, name, 0.05),
    "interrupted": lambda model, name: None,
    "after it": lambda model, name: None,
    "frozen": lambda model, name: (setattr(model.layers[0], "trainable", False), compiled(model, name, 0.05)),
    "unfrozen, another loss and rate": lambda model, name: (
        setattr(model.layers[0], "trainable", True),
        compiled(model, name, 1e-3, "mae", **({} if name in (*SEARCHES, "Lookahead") else {"clipnorm": 0.01})),
    ),
    "another optimizer": lambda model, name: compiled(model, "Adam" if name == "SGD" else "SGD", 0.05),
}


def flow(name, watching=(), sweep=False):
    """The weights after each phase; the same callback objects run in all of them."""
    model, after, kept = built(), {}, []
    for phase, change in PHASES.items():
        change(model, name)
        if sweep and phase == "first" and name not in SEARCHES:
            callbacks.find_learning_rate(model, X, Y, steps=4, batch_size=16, verbose=0)
        if phase == "interrupted":
            with pytest.raises(KeyboardInterrupt) as error:
                fit(model, [*watching, Break()])
            # A notebook keeps the traceback, and thereby the frame of `fit`.
            kept.append(error)
        else:
            fit(model, watching)
        after[phase] = model.get_weights()
    assert not {"train_step", "make_train_function", "_training_pipeline", "evaluate"} & set(vars(model))
    return after


@functools.lru_cache
def without_callbacks(name):
    return flow(name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_new_compile_takes_effect(name):
    """T1: on JAX the loss, rate and clipping of the first `compile` stayed in use after a search or Nesterov."""
    after, before = without_callbacks(name), built().get_weights()
    for phase in ("unfrozen, another loss and rate", "another optimizer"):
        previous = list(PHASES)[list(PHASES).index(phase) - 1]
        before = after[previous]
        fresh = built()
        fresh.set_weights(before)
        PHASES[phase](fresh, name)
        fit(fresh)
        for weight, want in zip(after[phase], fresh.get_weights(), strict=True):
            np.testing.assert_allclose(weight, want, err_msg=phase, **CLOSE)


# A search has no learning rate.
CELLS = [
    (name, watching)
    for name in OPTIMIZERS
    for watching in CALLBACKS
    if not (name in SEARCHES and watching in ("ReduceLearningRate", "sweep"))
]


@pytest.mark.parametrize(("name", "watching"), CELLS)
def test_callbacks_do_not_change_the_weights(name, watching):
    after = flow(name, CALLBACKS[watching](), sweep=watching == "sweep")
    for phase, weights in without_callbacks(name).items():
        for weight, want in zip(after[phase], weights, strict=True):
            np.testing.assert_allclose(weight, want, err_msg=phase, **CLOSE)


@pytest.mark.parametrize("name", SEARCHES)
def test_the_learning_rate_finder_refuses_a_search(name):
    """T14: the error named the model, but the optimizer was at fault."""
    model = built()
    compiled(model, name, None)
    with pytest.raises(ValueError, match=rf"`model.optimizer` must be .* Received: model.optimizer='{name}'"):
        callbacks.find_learning_rate(model, X, Y, verbose=0)


MODELS = {kind.__name__: kind for kind in (own_steps.MetricsLoop, own_steps.OwnTracker, own_steps.OwnMetrics)}


def own_flow(kind, name, watching=(), sweep=False):
    keras.utils.set_random_seed(0)
    model = MODELS[kind]()
    model(X[:1])
    optimizer = OPTIMIZERS[name](schedules.Exponential(0.05, factor=0.5, period=3), model)
    model.compile(optimizer, "mse", metrics=[] if kind == "OwnTracker" else ["mae"], **COMPILED)
    if sweep:
        callbacks.find_learning_rate(model, X, Y, steps=4, batch_size=16, verbose=0)
    history = fit(model, watching)
    return model.get_weights(), history


@functools.lru_cache
def own_without_callbacks(kind, name):
    return own_flow(kind, name)


@pytest.mark.parametrize("watching", CALLBACKS)
@pytest.mark.parametrize("name", ["SGD", "Nesterov", "Adam", "Lookahead"])
@pytest.mark.parametrize("kind", MODELS)
def test_callbacks_do_not_change_a_custom_train_step_or_custom_metrics(kind, name, watching):
    """T4, T5, T6: the guide's loop over the metrics crashed, clipping turned itself off, the others saw nothing."""
    watchers = CALLBACKS[watching]()
    weights, history = own_flow(kind, name, watchers, sweep=watching == "sweep")
    want, plain = own_without_callbacks(kind, name)
    for weight, other in zip(weights, want, strict=True):
        np.testing.assert_allclose(weight, other, **CLOSE)
    for number in plain:
        np.testing.assert_allclose(history[number], plain[number], rtol=1e-5, err_msg=number)
    shown = {"GradientMonitor": "gradient_norm", "GradientClipping": "norm_before_clipping", "both": "clipped_share"}
    if watching in shown:
        assert min(history[shown[watching]]) >= 0 and np.isfinite(history[shown[watching]]).all()


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_refuses_a_custom_train_step(name):
    with pytest.raises(ValueError, match="a model with Keras's own `train_step`"):
        OPTIMIZERS[name](None, own_steps.MetricsLoop())
