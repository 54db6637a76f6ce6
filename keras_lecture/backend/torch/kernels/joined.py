"""Many small tensors as one: PyTorch's operations on lists take 3 to 5 µs a tensor, however small it is.

The weights of a rule that are small move end to end into one buffer, and so does each of its slots; every variable
goes on as a view of its part. Whoever writes into a variable writes into the buffer, so there is nothing to keep in
step. Whoever gives a variable other memory (another device, a view of his own) is found out by its address before the
next step, which then joins anew.
"""

import operator
import weakref
from itertools import accumulate, chain, pairwise

import torch
from torch._utils import _flatten_dense_tensors

# Elements up to which a tensor counts as small: above, a step of its own costs less than to copy its gradient.
SMALL = 1 << 14

_JOINED = weakref.WeakKeyDictionary()


class Joined:
    """The small variables of a rule, by place, and one buffer for their weights and for each of their slots."""

    def __init__(self, places, columns, penalties):
        self.places = places
        self.chosen = operator.itemgetter(*places)
        self.penalties = tuple(penalties)
        self.buffers = [_flatten_dense_tensors([tensor.detach() for tensor in column]) for column in columns]
        for column, buffer in zip(columns, self.buffers, strict=True):
            # Found again by the next rule on these weights, when this one is gone.
            buffer.untyped_storage().joins_variables = True
            for tensor, part in zip(column, buffer.split([t.numel() for t in column]), strict=True):
                tensor.data = part.view(tensor.shape)
        self.addresses = [_addresses(column) for column in columns]
        # Variables of one penalty lie together, as they are updated together.
        self.parts = {}
        ends = accumulate((w.numel() for w in columns[0]), initial=0)
        for (start, stop), penalty in zip(pairwise(ends), penalties, strict=True):
            self.parts[penalty] = slice(self.parts[penalty].start if penalty in self.parts else start, stop)

    def by_penalty(self, gradients):
        """`(penalty, weights, gradients, *slots)` for each penalty, each a list of one tensor."""
        weights, *slots = self.buffers
        gradient = _flatten_dense_tensors(self.chosen(gradients)).to(weights.dtype)
        for penalty, part in self.parts.items():
            yield penalty, *([column[part]] for column in (weights, gradient, *slots))


def known(rule, columns, penalties):
    """What was joined before, if all of it is still where it was put."""
    found = _JOINED.get(rule)
    if found is None or len(found.penalties) > len(penalties) or torch.compiler.is_compiling():
        return None
    if max(found.places) >= len(penalties) or found.penalties != found.chosen(penalties):
        return None
    # Some callers have a part of the slots only.
    known_columns = zip(columns, found.addresses, strict=False)
    return found if all(_addresses(found.chosen(column)) == there for column, there in known_columns) else None


def join(rule, columns, penalties):
    """Joins the small ones among the variables of `rule`; None where there are none, or where they may not be moved.

    `columns` are the tensors of all weights of the rule, and of each slot.
    """
    _JOINED.pop(rule, None)
    if torch.compiler.is_compiling():
        return None
    order = list(dict.fromkeys(penalties))
    places = [place for place, w in enumerate(columns[0]) if 0 < w.numel() <= SMALL]
    places.sort(key=lambda place: order.index(penalties[place]))
    small = [[column[place] for place in places] for column in columns]
    addresses = _addresses(chain(*small))
    if len(places) < 2 or not all(map(_may_move, chain(*small))) or len({*addresses}) < len(addresses):
        return None
    _JOINED[rule] = Joined(places, small, [penalties[place] for place in places])
    return _JOINED[rule]


def _addresses(tensors):
    return [*map(torch.Tensor.data_ptr, tensors)]


def _may_move(tensor):
    """Whether nobody else is known to hold this memory: the tensor fills it, alone in this process, or we joined it."""
    if not tensor.is_cpu or not tensor.is_contiguous() or tensor.is_shared():
        return False
    storage = tensor.untyped_storage()
    return storage.nbytes() == tensor.numel() * tensor.element_size() or hasattr(storage, "joins_variables")
