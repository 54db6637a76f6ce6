"""Optimizer steps by PyTorch's fused and `_foreach_` operations, in place on the tensors of Keras's variables.

One call takes all variables, while `keras.ops` needs several calls per variable: 15 times Keras's speed for Adam on
tensors of millions of weights, 4 times on a thousand small ones, 1.5 times in `fit` of an MLP
(docs/benchmarks/optimizers.md).
"""

import operator

import keras
import torch

from keras_lecture._backend.torch.kernels.updates import UPDATES, scheduled
from keras_lecture._backend.torch.native import WHOLE

# The number of elements that a step of several passes processes at a time, so that they stay in the cache.
_CHUNK = 1 << 19

# Faster than an attribute access in a loop over a thousand variables.
_IS_SPARSE = operator.attrgetter("is_sparse")
_VALUE = operator.attrgetter("_value")


@torch.no_grad()
def optimizer_step(rule, gradients, variables, learning_rate):
    update = UPDATES.get(rule.kernel)
    # `torch.compile` (2.13) cannot functionalize the fused steps, and fuses the formula itself.
    if update is None or not variables or _stateless() or torch.compiler.is_compiling():
        return None
    slots, penalties = rule.state_of(variables)
    weights, slots = _tensors(variables), [*map(_tensors, slots)]
    if update.reads and not _readable(weights[0]):
        return None
    # A transposed gradient has other strides than its variable, but the fused steps read memory linearly.
    gradients = [g if g.is_sparse else g.contiguous() for g in gradients]
    if not _plain(variables, [*weights, *gradients, *(slot for column in slots for slot in column)]):
        return None
    if rule.clipnorm or rule.clipvalue:
        gradients = rule.clipped(gradients)
    rate, k = _numbers(rule, weights[0], learning_rate)
    scale = _clip_scale(rule.global_clipnorm, gradients)
    step = update(rule, rate, k, _readable(weights[0]))
    for (decay, sparsify), columns in _groups(penalties, weights, gradients, *slots):
        decay = rule.weight_decay if decay else 0.0
        in_one_pass = step.passes == 1 and not sparsify and scale is None and (step.decays or not decay)
        for weights, gradients, *slots in [columns] if in_one_pass or not step.on_cpu else _pieces(columns):
            step(decay, weights, gradients if scale is None else torch._foreach_mul(gradients, scale), *slots)
            if sparsify:
                step.shrink(rule.l1, weights, *slots)
    return True


@torch.no_grad()
def along_velocity(rule, variables, velocities, sign):
    weights, slots = _tensors(variables), _tensors(velocities)
    if _stateless() or not _plain(variables, [*weights, *slots]):
        return None
    (k,) = _numbers(rule, weights[0])
    factor = scheduled(rule.momentum, k) * (float(sign) if _readable(weights[0]) else sign)
    if torch.is_tensor(factor):
        torch._foreach_add_(weights, torch._foreach_mul(slots, factor.to(weights[0].dtype)))
    elif factor:
        torch._foreach_add_(weights, slots, alpha=factor)
    return True


def _tensors(variables):
    # `Variable.value` checks scopes and devices, which takes 2 µs each. Nothing is cached: nothing can become stale.
    return [*map(_VALUE, variables)]


def _numbers(rule, weight, *others):
    """`others` and the step number, from 1: floats on a CPU, where reading them is free, elsewhere tensors."""
    if _readable(weight):
        return *map(float, others), float(rule.iterations) + 1.0
    tensors = (keras.ops.convert_to_tensor(x).to(weight.device, weight.dtype) for x in (*others, rule.iterations))
    *numbers, iterations = tensors
    return *numbers, iterations + 1.0


def _readable(tensor):
    """Whether Python may read the values: a GPU would first have to finish all queued work."""
    return tensor.is_cpu


def _clip_scale(limit, gradients):
    """The factor of `global_clipnorm` for all gradients; `None` for 1, NaN if a gradient is not finite."""
    if not limit:
        return None
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    if _readable(norm):
        norm = float(norm)
        return None if norm <= limit else limit / norm + (norm - norm)
    return (limit / norm).clamp(max=1.0) + (norm - norm)


def _groups(penalties, *columns):
    """For each kind of penalty, the columns of the variables that have it."""
    for penalty in {*penalties}:
        chosen = [index for index, other in enumerate(penalties) if other == penalty]
        yield penalty, [[column[index] for index in chosen] for column in columns]


def _pieces(columns):
    """The columns in pieces of at most `_CHUNK` elements: large tensors are split, small ones grouped."""
    batch, elements = [], 0
    for row in zip(*columns, strict=True):
        size = row[0].numel()
        if size > _CHUNK:
            for parts in zip(*(tensor.view(-1).split(_CHUNK) for tensor in row), strict=True):
                yield [[part] for part in parts]
            continue
        if elements + size > _CHUNK:
            yield [list(column) for column in zip(*batch, strict=True)]
            batch, elements = [], 0
        batch.append(row)
        elements += size
    if batch:
        yield [list(column) for column in zip(*batch, strict=True)]


def _stateless():
    """Whether a `StatelessScope` is open, as in `stateless_apply`: its values may be the variables' own tensors."""
    with keras.StatelessScope(initialize_variables=False) as scope:
        return scope.original_scope is not None


def _plain(variables, tensors):
    """Whether the kernels may write into these tensors: dense, contiguous, of one dtype and device, not replaced."""
    first = variables[0]._value
    return (
        variables[0].value is first
        and first.dtype in WHOLE
        and {first.dtype}.issuperset(map(operator.attrgetter("dtype"), tensors))
        and {first.device}.issuperset(map(operator.attrgetter("device"), tensors))
        and not any(map(_IS_SPARSE, tensors))
        and all(map(torch.Tensor.is_contiguous, tensors))
    )
