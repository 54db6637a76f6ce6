"""Optimizer steps on JAX: many small variables are updated as one.

XLA is at the limit of the memory for large variables, but compiles a loop of its own for each small one. Their values
are put end to end, updated by the rule's own formula, and taken apart again. Large ones stay as they are: to copy
them costs more than the loops.
"""

import keras
from jax import numpy as jnp

# Elements up to which a variable counts as small.
_SMALL = 1 << 14


def optimizer_step(rule, gradients, variables, learning_rate):
    # With a distribution, each variable has a layout of its own.
    if not rule.elementwise or keras.distribution.distribution() is not None:
        return None
    slots, penalties = rule.state_of(variables)
    groups = {}
    for index, (variable, penalty) in enumerate(zip(variables, penalties, strict=True)):
        if variable.value.size <= _SMALL and keras.backend.standardize_dtype(variable.dtype) in ("float32", "float64"):
            groups.setdefault((variable.dtype, penalty), []).append(index)
    groups = {key: indices for key, indices in groups.items() if len(indices) > 1}
    if not groups:
        return None
    small = {index for indices in groups.values() for index in indices}
    large = [index for index in range(len(variables)) if index not in small]
    if rule.clipnorm or rule.clipvalue:
        gradients = rule.clipped(gradients)
    flat = {key: _end_to_end([gradients[i] for i in indices], key[0]) for key, indices in groups.items()}
    scale = _clip_scale(rule, [*flat.values(), *(gradients[i] for i in large)])
    for index in large:
        rule.update_step(gradients[index] * scale, variables[index], learning_rate)
    for key, indices in groups.items():
        dtype, penalty = key
        columns = [[column[i] for i in indices] for column in (variables, *slots)]
        w, *state = (_end_to_end([variable.value for variable in column], dtype) for column in columns)
        rate, k = (jnp.asarray(keras.ops.convert_to_tensor(x), dtype) for x in (learning_rate, rule.iterations + 1))
        for column, value in zip(
            columns, rule.complete_step(penalty, w, flat[key] * scale, rate, k, *state), strict=True
        ):
            _take_apart(value, column)
    return True


def _end_to_end(values, dtype):
    return jnp.concatenate([jnp.ravel(value).astype(dtype) for value in values])


def _clip_scale(rule, gradients):
    """What `global_clipnorm` multiplies all gradients by; not a number if they are not."""
    if not rule.global_clipnorm:
        return 1.0
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in gradients))
    return jnp.minimum(rule.global_clipnorm / norm, 1.0) + (norm - norm)


def _take_apart(flat, variables):
    start = 0
    for variable in variables:
        size = variable.value.size
        variable.assign(flat[start : start + size].reshape(variable.shape))
        start += size
