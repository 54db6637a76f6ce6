"""Three steps of a copy of a model's optimizer on copies of its weights, with given gradients."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core.weights import weights as all_weights
from keras_lecture._training.chain import chain
from keras_lecture.diagnosis._facts.recorded_pass import array

STEPS = 3


def steps(model: keras.Model, weights: list[np.ndarray], double: bool) -> tuple[list, list]:
    """The updates of the trainable weights, and the optimizer's variables after the steps as `(path, array)`.

    The gradients are the same numbers everywhere, of all sizes from 1e-8 to 1 so that a small ε matters: the optimizer
    is judged by itself, and not by the rounding of the gradients before it. Three steps, because the first one of Adam
    does not depend on its β.
    """
    with _backend.double_precision() if double else contextlib.nullcontext():
        copies = [_duplicate(v, w, double) for v, w in zip(model.trainable_variables, weights, strict=True)]
        optimizer = _optimizer(model, copies)
        # Numbered by all weights: a frozen one leaves the gradients of the others as they are.
        number = {id(weight.variable): index for index, weight in enumerate(all_weights(model))}
        numbered = [(number[id(v)], copy) for v, copy in zip(model.trainable_variables, copies, strict=True)]
        gradients = [[_gradient(step, index, copy) for index, copy in numbered] for step in range(STEPS)]
        before = [array(each) for each in copies]
        after, slots = _stepped(optimizer, copies, gradients)
        updates = [array(each) - start for each, start in zip(after, before, strict=True)]
        return updates, [(v.path, array(value)) for v, value in zip(optimizer.variables, slots, strict=True)]


def _stepped(optimizer, copies, gradients):
    """The weights and the optimizer's variables after the steps."""
    if not _backend.PURE_TRAIN_STEP:
        for each in gradients:
            optimizer.apply(each, copies)
        return copies, optimizer.variables
    # JAX compiles every single operation of an uncompiled step, one by one.
    step = _backend.compile(lambda slots, each, weights: optimizer.stateless_apply(slots, each, weights))
    weights, slots = [v.value for v in copies], [v.value for v in optimizer.variables]
    for each in gradients:
        weights, slots = step(slots, each, weights)
    return weights, slots


def _duplicate(variable, value, double):
    """A variable with the same path, constraint and value, because optimizers choose weights by these."""
    *scopes, name = variable.path.split("/")
    with contextlib.ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(keras.name_scope(scope))
        dtype = "float64" if double else variable.dtype
        copy = keras.Variable(ops.convert_to_tensor(value, dtype=dtype), dtype=dtype, name=name)
    copy.constraint = variable.constraint
    copy.overwrite_with_gradient = variable.overwrite_with_gradient
    return copy


def _optimizer(model, copies):
    own = model.optimizer
    optimizer = type(own).from_config(own.get_config())
    for one, source in zip(chain(optimizer), chain(own), strict=True):
        plain = [v for v, w in zip(copies, model.trainable_variables, strict=True) if not source._use_weight_decay(w)]
        if plain:
            one.exclude_from_weight_decay(var_list=plain)
    optimizer.build(copies)
    return optimizer


def _gradient(step, index, variable):
    rng = np.random.default_rng([step, index])
    sizes = 10.0 ** rng.uniform(-8, 0, variable.shape) * rng.choice([-1.0, 1.0], variable.shape)
    return ops.convert_to_tensor(np.asarray(sizes, "float32"), dtype=variable.dtype)
