"""Optimizer steps on PyTorch: its fused and `_foreach_` operations on the tensors of Keras's variables, in place."""

import operator

import keras
import torch
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from keras_lecture.backend.torch.kernels import joined
from keras_lecture.backend.torch.kernels.updates import UPDATES, scheduled

# Elements that a step of several passes works on at a time, so that the later passes find them in the cache.
_CHUNK = 1 << 20

# A thousand attributes in one call.
_IS_SPARSE = operator.attrgetter("is_sparse")
_VALUE = operator.attrgetter("_value")


@torch.no_grad()
def optimizer_step(rule, gradients, variables, learning_rate):
    update = UPDATES.get(rule.kernel)
    if update is None or not variables or _stateless():
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
                _shrink(step, rule.l1, piece[0], *piece[2:])
    return True


def _work(rule, gradients, variables):
    """`(penalty, weights, gradients, *slots)`, lists of tensors to be updated alike; None where there is no kernel."""
    slots, penalties = rule.state_of(variables)
    columns = [_tensors(variables), *map(_tensors, slots)]
    small = joined.known(rule, columns, penalties)
    if any(map(_IS_SPARSE, gradients)) or not _plain(variables, columns, small):
        return None
    # A step on some of the variables, where others have no gradient, takes them one by one.
    if small is None and rule.is_all(variables):
        small = joined.join(rule, columns, penalties)
    others = _others(small, variables)
    if not _alike([gradients[place] for place in others], columns[0][0]):
        return None
    columns, groups = [columns[0], gradients, *columns[1:]], {}
    for place in others:
        gradients[place] = gradients[place].contiguous()
        groups.setdefault(penalties[place], []).append(place)
    work = [(penalty, *([column[i] for i in places] for column in columns)) for penalty, places in groups.items()]
    return [*work, *(small.by_penalty(gradients) if small else ())]


def _others(small, variables):
    """The places of the variables that are not joined."""
    places = frozenset(small.places) if small else ()
    return [place for place in range(len(variables)) if place not in places]


@torch.no_grad()
def along_velocity(rule, variables, velocities, sign):
    if _stateless():
        return None
    sign = float(sign)
    if sign:
        _, penalties = rule.state_of(variables)
        columns = [_tensors(variables), _tensors(velocities)]
        small = joined.known(rule, columns, penalties)
        if not _plain(variables, columns, small):
            return None
        if small:
            others = _others(small, variables)
            columns = [
                [*(column[i] for i in others), buffer] for column, buffer in zip(columns, small.buffers, strict=True)
            ]
        torch._foreach_add_(*columns, alpha=sign * scheduled(rule.momentum, float(rule.iterations) + 1.0))
    return True


def _shrink(step, l1, weights, *slots):
    """w − clip(w, −t, t): exactly 0 where |w| ≤ t."""
    if len(weights) > 1:
        # Many small tensors: end to end, a few long operations instead of many short ones.
        flat = [_flatten_dense_tensors(column) for column in (weights, *slots)]
        inside = _clip(flat[0], l1 * step.sizes(*flat[1:]))
        torch._foreach_sub_(weights, _unflatten_dense_tensors(inside, weights))
    else:
        weights[0].sub_(_clip(weights[0], l1 * step.sizes(*(slot for (slot,) in slots))))


def _clip(w, threshold):
    return w.clamp(-threshold, threshold)


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


def _tensors(variables):
    # `Variable.value` looks at scopes and devices, 2 µs each; nothing is cached here, so nothing can become stale.
    return [*map(_VALUE, variables)]


def _plain(variables, columns, small):
    """Whether the kernels may write into these tensors: dense, of one dtype and device, and not stood in for.

    Of those in `small` it is known.
    """
    first = columns[0][0]
    if variables[0].value is not first or first.dtype not in (torch.float32, torch.float64):
        return False
    others = _others(small, variables)
    weights, *slots = ([column[place] for place in others] for column in columns)
    # Slots were made for their weights, contiguous and of their dtype; of these the device alone can part.
    return _alike([first, *weights, *(column[0] for column in slots if others)], first) and all(
        map(torch.Tensor.is_contiguous, weights)
    )


def _alike(tensors, first):
    """Whether all are dense tensors of the dtype and on the device of the first."""
    return (
        {first.dtype}.issuperset(map(operator.attrgetter("dtype"), tensors))
        and {first.device}.issuperset(map(operator.attrgetter("device"), tensors))
        and not any(map(_IS_SPARSE, tensors))
    )
