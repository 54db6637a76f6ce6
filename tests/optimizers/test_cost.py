"""The cost of an optimizer: the memory of Keras's class of the same name, no compilation after the first steps."""

import gc
import importlib

import keras
import numpy as np
import pytest
from support.harness import BACKEND, bound, built_for
from support.noisy_quadratic import RULES

from keras_lecture import optimizers

PEERS = {
    "SGD": lambda: keras.optimizers.SGD(0.1),
    "Momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "Nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "AdaGrad": lambda: keras.optimizers.Adagrad(0.1),
    "RMSProp": lambda: keras.optimizers.RMSprop(0.1),
    "Adam": lambda: keras.optimizers.Adam(0.1),
    # Keras has no rectified Adam: its Adam has the same slots.
    "RectifiedAdam": lambda: keras.optimizers.Adam(0.1),
}
X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
framework = importlib.import_module(BACKEND)


@pytest.fixture(scope="module", autouse=True)
def _frozen_garbage_collector():
    """Excludes the millions of objects of other tests from every pass of the garbage collector."""
    gc.collect()
    gc.freeze()


def _held():
    """The bytes of all live tensors: variables, slots, caches of kernels."""
    gc.collect()
    if BACKEND == "jax":
        return sum(array.nbytes for array in framework.live_arrays())
    kind = framework.Tensor if BACKEND == "torch" else framework.Variable
    alive = [each for each in gc.get_objects() if issubclass(type(each), kind)]
    if BACKEND == "tensorflow":
        return sum(variable.dtype.size * np.prod(variable.shape) for variable in alive)
    storages = [tensor.untyped_storage() for tensor in alive if not tensor.is_meta]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _growth(optimizer):
    shapes = [(100, 50), (50,), *[(50, 3)] * 4]
    before = _held()
    ws = [keras.Variable(np.ones(shape, "float32"), name="kernel") for shape in shapes]
    for _ in range(3):
        if isinstance(optimizer, optimizers.Nesterov):
            built_for(optimizer, ws)
            optimizer.look_ahead()
        optimizer.apply([keras.ops.ones(shape) for shape in shapes], ws)
    return _held() - before, sum(np.prod(shape) for shape in shapes) * 4


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_holds_no_more_bytes_than_keras_class(rule):
    settings = {"weight_decay": 0.1, "l1": 1e-3, "global_clipnorm": 1.0}
    theirs, _ = _growth(PEERS[rule]())
    ours, weights = _growth(getattr(optimizers, rule)(0.1, **settings))
    slots = len(getattr(optimizers, rule).slots)
    # 512 bytes for the step number, the learning rate, a flag and the framework's own cached scalars.
    assert (1 + slots) * weights <= ours <= (1 + slots) * weights + 512
    assert ours <= theirs + 512


def _compilations(model, x, epochs):
    """How often Python runs the update during `fit` (each time it is traced), and how often XLA compiles anything."""
    updates, compiled, watching = [], [], [True]
    update = type(model.optimizer)._backend_update_step

    class Watched(type(model.optimizer)):
        kernel = type(model.optimizer).kernel

        def _backend_update_step(self, *arguments):
            updates.append(1)
            update(self, *arguments)

    def listen(event, seconds, **details):
        if watching[0] and event.endswith("backend_compile_duration"):
            compiled.append(event)

    model.optimizer.__class__ = Watched
    if BACKEND == "jax":
        framework.monitoring.register_event_duration_secs_listener(listen)
    model.fit(x, x[:, :2], batch_size=8, epochs=epochs, verbose=0, shuffle=False)
    watching[0] = False
    return len(updates), len(compiled)


@pytest.mark.parametrize("rule", RULES)
def test_nothing_is_compiled_after_the_first_steps(rule):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    optimizer = getattr(optimizers, rule)(0.01, weight_decay=0.1, l1=1e-3, global_clipnorm=1.0)
    model.compile(bound(optimizer, model), "mse")
    # Two batches: TensorFlow retraces a step that builds its optimizer at the second one, with Keras's own too.
    updates, compiled = _compilations(model, X[:16], 1)
    assert updates > 0 and (compiled > 0) == (BACKEND == "jax")
    model.fit(X, X[:, :2], batch_size=8, verbose=0, shuffle=False)
    assert _compilations(model, X, 2) == ((6, 0) if BACKEND == "torch" else (0, 0))


if BACKEND == "jax":

    @pytest.mark.parametrize("rule", RULES)
    def test_xla_steps_in_place(rule):
        """RMSProp once computed its accumulator twice, and so copied it: half of Keras's speed on JAX.

        The state has the same order as input and as output, as in Keras's trainer, so that XLA can reuse its memory.
        """
        w = keras.Variable(np.ones((96, 64), "float32"), name="kernel")
        optimizer = getattr(optimizers, rule)(0.1)
        built_for(optimizer, [w])
        if isinstance(optimizer, optimizers.Nesterov):
            optimizer.look_ahead()
        state = [w.value], [v.value for v in optimizer.variables]
        step = framework.jit(lambda ws, slots, gs: optimizer.stateless_apply(slots, gs, ws), donate_argnums=(0, 1))
        program = step.lower(*state, [w.value]).compile().as_text()
        assert not [line for line in program.splitlines() if "= f32[96,64]" in line and " copy(" in line]
