"""No fast path uses state that has been replaced since it was cached."""

import copy
import pickle
import warnings

import keras
import numpy as np
import pytest
from support.harness import BACKEND, TOLERANCES, bound, built_for, numpy
from support.noisy_quadratic import RULES, run, variables

from keras_lecture import optimizers


def _move(ws):
    """Moves the values of each variable to other memory, as loading or moving a model does."""
    for index, w in enumerate(ws):
        if BACKEND != "torch":
            w.assign(numpy(w).copy())
        elif index % 2:
            w._value.data = w._value.data.clone()
        else:
            w._value = type(w._value)(w._value.detach().clone(), requires_grad=w._value.requires_grad)


@pytest.mark.parametrize("rule", RULES)
def test_tensors_replaced_between_two_steps_are_used(rule):
    def make():
        return getattr(optimizers, rule)(0.05, weight_decay=0.1, l1=1e-3)

    want = run(make(), variables("float32"), 6)
    optimizer, ws = make(), variables("float32")
    run(optimizer, ws, 3)
    _move([*ws, *(slot for slots in optimizer._slots for slot in slots)])
    for a, w in zip(run(optimizer, ws, 3, first=3), want, strict=True):
        np.testing.assert_array_equal(a, w)


@pytest.mark.parametrize("rule", RULES)
def test_a_copy_of_the_optimizer_continues_with_the_state_it_is_given(rule):
    optimizer, ws = getattr(optimizers, rule)(0.05, weight_decay=0.1), variables("float32")
    start = run(optimizer, ws, 3)
    state = [numpy(v) for v in optimizer.variables]
    want = run(optimizer, ws, 3, first=3)
    with warnings.catch_warnings():
        # Keras's optimizers come back unbuilt from a pickle, with a warning.
        warnings.simplefilter("ignore")
        copies = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    for other in copies:
        others = variables("float32", start)
        built_for(other, others)
        other.set_weights(state)
        for a, w in zip(run(other, others, 3, first=3), want, strict=True):
            np.testing.assert_array_equal(a, w)


@pytest.mark.parametrize(
    ("rule", "twin"), [("Nesterov", copy.deepcopy), ("Adam", lambda m: pickle.loads(pickle.dumps(m)))]
)
def test_a_copy_of_a_model_in_the_middle_of_training_continues_as_the_model_does(rule, twin):
    x = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile(bound(getattr(optimizers, rule)(0.05, weight_decay=0.1), model), "mse")
    settings = {"batch_size": 8, "epochs": 2, "verbose": 0, "shuffle": False}
    model.fit(x, x[:, :2], **settings)
    other = twin(model)
    bound(other.optimizer, other)
    for one in (model, other):
        one.fit(x, x[:, :2], **settings)
    assert other.optimizer is not model.optimizer
    for a, w in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, w)


def test_a_step_on_a_part_of_the_variables_uses_their_own_slots():
    """`apply` on fewer variables than the optimizer knows: each keeps its own slots and penalties."""
    for rule in RULES:
        ours, alone = (getattr(optimizers, rule)(0.05, weight_decay=0.1, l1=1e-3) for _ in range(2))
        ws, only = variables("float32"), variables("float32")[3:]
        built_for(ours, ws)
        for steps in range(3):
            run(ours, ws[3:], 1, first=steps, gradient=_half)
            run(alone, only, 1, first=steps, gradient=_half)
        np.testing.assert_allclose(numpy(ws[3]), numpy(only[0]), rtol=1e-6, err_msg=rule)
        # One step of all: the other variables take their first step with the step number 4.
        run(ours, ws, 1, gradient=_half)
        assert not np.allclose(numpy(ws[0]), numpy(variables("float32")[0])), rule


def _half(weights, k):
    return [0.5 * w for w in weights]


if BACKEND == "torch":
    import torch

    def test_the_raw_tensor_of_a_variable_is_where_the_kernels_look():
        """`Variable.value` costs 2 µs, so the kernels read `_value`, which is not public."""
        w = keras.Variable(np.ones(3, "float32"))
        where = (
            f"Keras {keras.__version__} keeps a variable's tensor elsewhere: see _backend/torch/kernels/optimizers.py."
        )
        assert isinstance(getattr(w, "_value", None), torch.Tensor), where
        assert w._value is w.value, where
        with torch.no_grad():
            w._value.add_(1.0)
        np.testing.assert_array_equal(w.numpy(), 2 * np.ones(3), err_msg=where)

    @pytest.mark.parametrize("rule", RULES)
    def test_stateless_steps_leave_the_variables_themselves_alone(rule):
        """Given a variable's own tensor, the in-place kernels once took the step on the variable as well."""
        optimizer, ws = getattr(optimizers, rule)(0.05), variables("float32")
        built_for(optimizer, ws)
        if rule == "Nesterov":
            optimizer.look_ahead()
        before = [numpy(v) for v in (*ws, *optimizer.variables)]
        values = [v.value for v in ws]
        new, _ = optimizer.stateless_apply([v.value for v in optimizer.variables], values, values)
        for v, old in zip((*ws, *optimizer.variables), before, strict=True):
            np.testing.assert_array_equal(numpy(v), old)
        assert all(not torch.equal(a, b) for a, b in zip(new, values, strict=True))

    @pytest.mark.parametrize("rule", RULES)
    def test_parameters_that_a_module_moved_to_another_dtype_train_on(rule):
        """`module.to` moves the parameters and not the slots: the kernels decline, and the formula is used."""
        want = run(getattr(optimizers, rule)(0.05), variables("float32"), 6)
        optimizer, ws = getattr(optimizers, rule)(0.05), variables("float32")
        run(optimizer, ws, 3)
        torch.nn.ParameterList([w._value for w in ws]).to(torch.float64)
        assert {w._value.dtype for w in ws} == {torch.float64}
        for a, w in zip(run(optimizer, ws, 3, first=3), want, strict=True):
            np.testing.assert_allclose(a, w, **TOLERANCES["float32"])
