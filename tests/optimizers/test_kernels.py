"""Every kernel against the formula that it replaces."""

import importlib

import keras
import numpy as np
import pytest
from support.harness import BACKEND, TOLERANCES, built_for, numpy
from support.noisy_quadratic import RULES, run, start, variables

from keras_lecture import _backend, optimizers
from keras_lecture._backend import acceleration
from keras_lecture.optimizers import rule as rule_module
from keras_lecture.optimizers import schedules

VARIANTS = {
    "plain": {},
    "decay": {"weight_decay": 0.1},
    "l1": {"l1": 0.01},
    "clip": {"global_clipnorm": 0.3},
    "all_scheduled": {"weight_decay": 0.1, "l1": 0.01, "global_clipnorm": 0.3},
    "clip_each": {"clipnorm": 0.2, "weight_decay": 0.1},
    "clip_value": {"clipvalue": 0.1},
}


@pytest.fixture
def small_pieces(monkeypatch):
    """Tensors of more than 10 elements count as large, so that the paths of large ones run."""
    limit = {"torch": "_CHUNK", "tensorflow": "LARGE"}.get(BACKEND)
    if limit:
        kernels = importlib.import_module(f"keras_lecture._backend.{BACKEND}.kernels.optimizers")
        monkeypatch.setattr(kernels, limit, 10)


# JAX has no kernel, it compiles the formula: these tests would compare the formula with itself.
if "optimizers.optimizer_step" in _backend._part("kernels").KERNELS:
    FORMULA = acceleration.formulas["optimizers.optimizer_step"]

    def _both(monkeypatch, make, dtype="float64", steps=5, compiled=False):
        kernel = run(make(), variables(dtype), steps, compiled=compiled)
        monkeypatch.setattr(rule_module, "optimizer_step", FORMULA)
        return kernel, run(make(), variables(dtype), steps)

    @pytest.mark.parametrize("variant", VARIANTS)
    @pytest.mark.parametrize("rule", RULES)
    def test_the_kernel_computes_the_formula(rule, variant, monkeypatch, float64):
        rate = schedules.InverseTime(0.05, period=2) if variant == "all_scheduled" else 0.05
        kernel, formula = _both(monkeypatch, lambda: getattr(optimizers, rule)(rate, **VARIANTS[variant]))
        for a, w in zip(kernel, formula, strict=True):
            np.testing.assert_allclose(a, w, **TOLERANCES["float64"])

    @pytest.mark.parametrize("rule", RULES)
    def test_the_kernel_computes_the_formula_on_large_tensors(rule, small_pieces, monkeypatch, float64):
        def make():
            return getattr(optimizers, rule)(0.05, **VARIANTS["all_scheduled"])

        # TensorFlow has a path for large tensors only in graphs.
        kernel, formula = _both(monkeypatch, make, compiled=BACKEND == "tensorflow")
        for a, w in zip(kernel, formula, strict=True):
            np.testing.assert_allclose(a, w, **TOLERANCES["float64"])

    @pytest.mark.parametrize("rule", RULES)
    def test_the_kernel_computes_the_formula_in_float32(rule, monkeypatch):
        kernel, formula = _both(monkeypatch, lambda: getattr(optimizers, rule)(0.05), "float32")
        for a, w in zip(kernel, formula, strict=True):
            np.testing.assert_allclose(a, w, **TOLERANCES["float32"])

    @pytest.mark.parametrize("rate", [0.0, 1e-9])
    @pytest.mark.parametrize("rule", ["SGD", "Momentum", "Nesterov"])
    def test_tiny_learning_rates_keep_their_digits(rule, rate, monkeypatch, float64):
        kernel, formula = _both(monkeypatch, lambda: getattr(optimizers, rule)(rate, weight_decay=0.5), steps=3)
        for a, w, first in zip(kernel, formula, start(), strict=True):
            # Two roundings of a weight near 1: a kernel goes to the look-ahead point and back, the formula does not.
            np.testing.assert_allclose(a - first, w - first, rtol=1e-6, atol=5e-16)

    def test_adam_without_correction_and_rmsprop_without_memory(monkeypatch, float64):
        for make in (
            lambda: optimizers.Adam(0.1, bias_correction=False, l1=0.01),
            lambda: optimizers.RMSProp(0.1, rho=0.0),
        ):
            with monkeypatch.context() as patch:
                kernel, formula = _both(patch, make)
            for a, w in zip(kernel, formula, strict=True):
                np.testing.assert_allclose(a, w, **TOLERANCES["float64"])

    def given_other_memory(optimizer, ws):
        """Moves variables to other memory, as `Module.to` does on PyTorch and an assignment elsewhere."""
        for variable in (ws[1], optimizer.variables[-1]):
            if BACKEND == "torch":
                variable.value.data = variable.value.data.clone()
            else:
                variable.assign(numpy(variable).copy())

    def assigned(optimizer, ws):
        for w, value in zip(ws, start(seed=1), strict=True):
            w.assign(value)
        optimizer.variables[-1].assign(keras.ops.zeros_like(optimizer.variables[-1].value))

    def without_a_gradient(optimizer, ws):
        if isinstance(optimizer, optimizers.Nesterov):
            optimizer.look_ahead()
        with pytest.warns(UserWarning, match="Gradients do not exist"):
            optimizer.apply([None, *(keras.ops.ones_like(w.value) for w in ws[1:])], ws)

    @pytest.mark.parametrize("between", [given_other_memory, assigned, without_a_gradient])
    @pytest.mark.parametrize("rule", ["Nesterov", "Adam"])
    def test_the_kernel_computes_the_formula_after_a_change_from_outside(rule, between, monkeypatch, float64):
        results = []
        for kernel in (True, False):
            with monkeypatch.context() as patch:
                if not kernel:
                    patch.setattr(rule_module, "optimizer_step", FORMULA)
                ws, optimizer = variables("float64"), getattr(optimizers, rule)(0.05, **VARIANTS["all_scheduled"])
                run(optimizer, ws, 2)
                between(optimizer, ws)
                results.append(run(optimizer, ws, 2, first=2))
        for a, w in zip(*results, strict=True):
            np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


if BACKEND == "torch":

    @pytest.mark.filterwarnings("ignore:Dynamo detected:UserWarning")
    @pytest.mark.parametrize("rule", ["Adam", "Momentum"])
    def test_a_compiled_step_is_the_eager_one(rule):
        """PyTorch 2.13 could not compile its own fused steps, which the kernel called: a model saved on JAX, where
        Keras compiles by default and saves this setting, raised an internal error in its first step on PyTorch."""
        import torch

        results = []
        for compiled in (False, True):
            optimizer, w, g = getattr(optimizers, rule)(0.05, weight_decay=0.1), *(variables("float32") for _ in "wg")
            built_for(optimizer, w)
            apply = torch.compile(optimizer.apply, backend="aot_eager") if compiled else optimizer.apply
            with torch.no_grad():
                apply([v.value for v in g], w)
            results.append([numpy(v) for v in w])
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, **TOLERANCES["float32"])

    @pytest.mark.parametrize("variant", ["plain", "all_scheduled"])
    @pytest.mark.parametrize("rule", RULES)
    def test_no_step_reads_a_number_from_the_device(rule, variant, monkeypatch, float64):
        """Learning rate and step number were read in Python in each step, for which the CPU must wait for the GPU.

        Oracle: the formula. PyTorch's own fused Adam reads the learning rate on a CPU, but not on a GPU.
        """
        torch = importlib.import_module("torch")
        overrides = importlib.import_module("torch.utils._python_dispatch")
        kernels = importlib.import_module("keras_lecture._backend.torch.kernels.optimizers")
        reads = []

        class Reads(overrides.TorchDispatchMode):
            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                if function is torch.ops.aten._local_scalar_dense.default:
                    reads.append(function)
                return function(*args, **(kwargs or {}))

        def without_reading(function):
            def watched(*args):
                with Reads():
                    return function(*args)

            return watched

        def make():
            settings = {"momentum": schedules.Exponential(0.9, period=2)} if rule in ("Momentum", "Nesterov") else {}
            rate = 0.05 if variant == "plain" else schedules.InverseTime(0.05, period=2)
            return getattr(optimizers, rule)(rate, **settings, **VARIANTS[variant])

        monkeypatch.setattr(kernels, "_readable", lambda tensor: False)
        monkeypatch.setattr(rule_module, "optimizer_step", without_reading(rule_module.optimizer_step))
        kernel, formula = _both(monkeypatch, make)
        for a, w in zip(kernel, formula, strict=True):
            np.testing.assert_allclose(a, w, **TOLERANCES["float64"])
        assert not reads or rule == "Adam"


def test_gradients_of_another_layout_or_dtype_give_the_same_step():
    # A transposed gradient has other strides than its variable: fused kernels walk through memory linearly.
    values = np.arange(6, dtype="float32").reshape(2, 3)
    for gradient in (keras.ops.transpose(keras.ops.convert_to_tensor(values.T.copy())), values.astype("float64")):
        w = keras.Variable(np.ones((2, 3), "float32"))
        optimizers.Momentum(0.5).apply([keras.ops.convert_to_tensor(gradient)], [w])
        np.testing.assert_allclose(numpy(w), 1 - 0.5 * values)


def test_a_step_leaves_the_gradients_unchanged():
    values = np.ones((4, 3), "float32")
    for rule in RULES:
        w, g = keras.Variable(values), keras.ops.convert_to_tensor(3 * values)
        optimizer = getattr(optimizers, rule)(0.1, global_clipnorm=0.1, weight_decay=0.1, l1=0.1)
        built_for(optimizer, [w])
        if rule == "Nesterov":
            optimizer.look_ahead()
        optimizer.apply([g], [w])
        np.testing.assert_array_equal(numpy(g), 3 * values)


def test_clipping_makes_all_weights_nan_where_the_gradient_is_not_finite():
    # As in Keras: clipping must not hide a gradient that is not finite.
    for rule in RULES:
        ws = [keras.Variable([1.0, 2.0]), keras.Variable([[3.0]])]
        optimizer = getattr(optimizers, rule)(0.1, global_clipnorm=1.0)
        built_for(optimizer, ws)
        if rule == "Nesterov":
            optimizer.look_ahead()
        optimizer.apply([keras.ops.convert_to_tensor([np.inf, 1.0]), keras.ops.ones((1, 1))], ws)
        assert np.all(np.isnan(numpy(ws[0]))) and np.all(np.isnan(numpy(ws[1])))
