"""Optimizer steps on PyTorch: its fused and `_foreach_` operations on the tensors of Keras's variables, in place."""

import operator
from itertools import chain

import keras
import torch

from keras_lecture.backend.torch.kernels.joined import joined
from keras_lecture.backend.torch.kernels.updates import UPDATES, scheduled

# Elements that a step of several passes works on at a time, so that the later passes find them in the cache.
_CHUNK = 1 << 19

# A thousand attributes in one call.
_IS_SPARSE = operator.attrgetter("is_sparse")
_VALUE = operator.attrgetter("_value")


@torch.no_grad()
def optimizer_step(rule, gradients, variables, learning_rate):
    update = UPDATES.get(rule.kernel)
    # `torch.compile` (2.13) cannot functionalize the fused steps, and fuses the formula by itself.
    if update is None or not variables or _stateless() or torch.compiler.is_compiling():
        return None
    if rule.clipnorm or rule.clipvalue:
        gradients = rule.clipped(gradients)
    work = _work(rule, list(gradients), variables)
    if work is None:
        return None
    step = update(rule, float(learning_rate), float(rule.iterations) + 1.0, _clip_scale(rule, work))
    for (decay, sparsify), *columns in work:
        decay = rule.weight_decay if decay else 0.0
        if step.passes == 1 and not sparsify and not step.prepares(decay):
            step(decay, *columns)
            continue
        for piece in _pieces(columns):
            step(decay, *piece)
            if sparsify:
                step.shrink(rule.l1, piece[0], *piece[2:])
    return True


def _work(rule, gradients, variables):
    """`(penalty, weights, gradients, *slots)`, lists of tensors to be updated alike; None where there is no kernel."""
    slots, penalties = rule.state_of(variables)
    small, others, weights, slots = _tensors(rule, variables, slots)
    if any(map(_IS_SPARSE, gradients)) or not _plain(variables, weights, slots, small):
        return None
    gradients_of_others = [gradients[place].contiguous() for place in others]
    if not _alike(gradients_of_others, variables[0]._value):
        return None
    groups = {}
    for place, *row in zip(others, weights, gradients_of_others, *slots, strict=True):
        groups.setdefault(penalties[place], []).append(row)
    if small:
        penalties = (rule.penalty_now(flat.penalty) for flat in rule.flat_slots)
        rows = zip(small.weights, small.gradients(gradients), *small.slots(), strict=True)
        for penalty, row in zip(penalties, rows, strict=True):
            groups.setdefault(penalty, []).append(row)
    return [(penalty, *map(list, zip(*rows, strict=True))) for penalty, rows in groups.items()]


def _tensors(rule, variables, slots):
    """What is joined of these variables, the places of the others, and the others' tensors: weights, slots."""
    weights = [*map(_VALUE, variables)]
    # A step on some of the variables, where others have no gradient, takes them one by one.
    small = joined(rule, weights) if rule.is_all(variables) else None
    if small is None:
        return None, range(len(weights)), weights, [[*map(_tensor, slot)] for slot in slots]
    others = small.others
    return small, others, [weights[i] for i in others], [[_tensor(slot[i]) for i in others] for slot in slots]


def _tensor(slot):
    # `Variable.value` looks at scopes and devices, 2 µs each; nothing is cached here, so nothing can become stale.
    return slot._value if isinstance(slot, keras.Variable) else slot.of(slot.whole._value)


@torch.no_grad()
def along_velocity(rule, variables, velocities, sign):
    if _stateless():
        return None
    sign = float(sign)
    if sign:
        small, _, weights, (slots,) = _tensors(rule, variables, [velocities])
        if not _plain(variables, weights, [slots], small):
            return None
        if small:
            weights, slots = [*weights, *small.weights], [*slots, *small.slots()[0]]
        torch._foreach_add_(weights, slots, alpha=sign * scheduled(rule.momentum, float(rule.iterations) + 1.0))
    return True


def _clip_scale(rule, work):
    """What `global_clipnorm` multiplies all gradients by; not a number if they are not."""
    if not rule.global_clipnorm:
        return 1.0
    gradients = [gradient for _, _, column, *_ in work for gradient in column]
    norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))))
    if norm <= rule.global_clipnorm:
        return 1.0
    return rule.global_clipnorm / norm + (norm - norm)


def _pieces(columns):
    """The columns in pieces of at most `_CHUNK` elements: large tensors cut up, small ones together."""
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
    """Whether tensors stand in for the variables, as in `stateless_apply`: these may be the variables' very own."""
    with keras.StatelessScope(initialize_variables=False) as scope:
        return scope.original_scope is not None


def _plain(variables, weights, slots, small):
    """Whether the kernels may write into these tensors: dense, of one dtype and device, and not stood in for."""
    first = variables[0]._value
    if variables[0].value is not first or first.dtype not in (torch.float32, torch.float64):
        return False
    flat = [*small.weights, *chain(*small.slots())] if small else ()
    # Slots were made for their weights, contiguous and of their dtype; of these the device alone can part.
    return _alike([*weights, *(slot[0] for slot in slots if slot), *flat], first) and all(
        map(torch.Tensor.is_contiguous, weights)
    )


def _alike(tensors, first):
    """Whether all are dense tensors of the dtype and on the device of the first."""
    return (
        {first.dtype}.issuperset(map(operator.attrgetter("dtype"), tensors))
        and {first.device}.issuperset(map(operator.attrgetter("device"), tensors))
        and not any(map(_IS_SPARSE, tensors))
    )
