"""Many small variables step as one: nobody who holds, moves or writes into one of them may notice."""

import keras
import numpy as np
import pytest
from harness import BACKEND, TOLERANCES, numpy
from noisy_quadratic import RULES, run, start, variables

from keras_lecture import optimizers
from keras_lecture.backend import acceleration
from keras_lecture.optimizers import flat_slots
from keras_lecture.optimizers import rule as rule_module

ALL = {"weight_decay": 0.1, "l1": 0.01, "global_clipnorm": 0.3}


@pytest.fixture(autouse=True)
def two_are_many(monkeypatch):
    monkeypatch.setattr(flat_slots, "FEWEST", 2)


def make(rule):
    return getattr(optimizers, rule)(0.05, **ALL)


def two_runs(monkeypatch, between, rule):
    """Weights after three steps, `between(optimizer, variables)`, and three more: by the kernel, by the formula."""
    results = []
    for kernel in (True, False):
        with monkeypatch.context() as patch:
            if not kernel:
                patch.setattr(rule_module, "optimizer_step", acceleration.formulas["optimizer_step"])
            ws, optimizer = variables("float64"), make(rule)
            run(optimizer, ws, 3)
            optimizer = between(optimizer, ws) or optimizer
            results.append(run(optimizer, ws, 3, first=3))
    return results


def assigned(optimizer, ws):
    for w, value in zip(ws, start(seed=1), strict=True):
        w.assign(value)
    optimizer.variables[-1].assign(keras.ops.zeros_like(optimizer.variables[-1].value))


def weight_given_other_memory(optimizer, ws):
    """What `Module.to` does on PyTorch; elsewhere an assignment gives a variable other memory."""
    _move(ws[1])


def slot_given_other_memory(optimizer, ws):
    _move(optimizer.variables[-1])


def _move(variable):
    if BACKEND == "torch":
        variable.value.data = variable.value.data.clone()
    else:
        variable.assign(numpy(variable).copy())


def another_optimizer(optimizer, ws):
    return make("Momentum")


@pytest.mark.parametrize("between", [assigned, weight_given_other_memory, slot_given_other_memory, another_optimizer])
@pytest.mark.parametrize("rule", ["Nesterov", "Adam"])
def test_the_next_steps_are_the_formula_still(rule, between, monkeypatch, float64):
    kernel, formula = two_runs(monkeypatch, between, rule)
    for a, w in zip(kernel, formula, strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


def test_a_variable_without_a_gradient_stays_and_the_others_step(monkeypatch, float64):
    results = []
    for kernel in (True, False):
        with monkeypatch.context() as patch:
            if not kernel:
                patch.setattr(rule_module, "optimizer_step", acceleration.formulas["optimizer_step"])
            ws, optimizer = variables("float64"), make("Adam")
            run(optimizer, ws, 2)
            before = numpy(ws[0]).copy()
            gradients = [None, *(keras.ops.ones_like(w.value) for w in ws[1:])]
            with pytest.warns(UserWarning, match="Gradients do not exist"):
                optimizer.apply(gradients, ws)
            np.testing.assert_array_equal(numpy(ws[0]), before)
            results.append(run(optimizer, ws, 2, first=2))
    for a, w in zip(*results, strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


@pytest.mark.parametrize("rule", RULES)
def test_training_leaves_no_copies_of_weights_or_slots_in_memory(rule):
    ws, optimizer = variables("float32"), make(rule)
    run(optimizer, ws, 2)
    held = [*ws, *(v for v in optimizer.variables if len(v.shape))]
    elements = sum(int(np.prod(v.shape)) for v in held)
    if BACKEND == "torch":
        memory = {v.value.untyped_storage().data_ptr(): v.value.untyped_storage().nbytes() for v in held}
        assert sum(memory.values()) == 4 * elements
    # Elsewhere variables own their arrays: there are no more of them than weights and slots.
    assert elements == (1 + len(type(optimizer).slots)) * sum(int(np.prod(w.shape)) for w in ws)


def test_variables_that_share_memory_with_others_go_on_sharing_it():
    """Two weights tied below Keras: joining them would part them."""
    ws = [keras.Variable(np.ones((3, 2), "float32")) for _ in range(3)]
    if BACKEND == "torch":
        ws[1].value.data = ws[0].value.data
    optimizer = optimizers.SGD(0.5)
    optimizer.apply([keras.ops.ones((3, 2))] * 3, ws)
    tied = BACKEND == "torch"
    np.testing.assert_allclose([numpy(w)[0, 0] for w in ws], [0.0, 0.0, 0.5] if tied else [0.5, 0.5, 0.5])
