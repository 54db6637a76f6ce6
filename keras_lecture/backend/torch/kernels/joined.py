"""Many small tensors as one: PyTorch's operations on lists take 3 to 5 µs a tensor, however small it is.

A rule keeps the slots of its small variables end to end (`FlatSlots`). Here their weights follow, into one buffer, and
every variable goes on as a view of its part. Whoever writes into a variable writes into the buffer, so there is nothing
to keep in step. Whoever gives a variable other memory (another device, a view of his own) is found out by its address
before the next step, which then joins anew.
"""

import operator
import weakref

import torch
from torch._utils import _flatten_dense_tensors

_JOINED = weakref.WeakKeyDictionary()


class Joined:
    """The weights of a rule's small variables, by place, in one buffer."""

    def __init__(self, flats, weights):
        self.flats = flats
        self.places = tuple(place for flat in flats for place in flat.places)
        self.chosen = operator.itemgetter(*self.places)
        self.others = sorted({*range(len(weights))}.difference(self.places))
        chosen = self.chosen(weights)
        self.movable = len({*_addresses(chosen)}) == len(chosen) and all(map(_may_move, chosen))
        if not self.movable:
            return
        buffer = _flatten_dense_tensors([tensor.detach() for tensor in chosen])
        # Found again by the next rule on these weights, when this one is gone.
        buffer.untyped_storage().joins_variables = True
        for tensor, part in zip(chosen, buffer.split([tensor.numel() for tensor in chosen]), strict=True):
            tensor.data = part.view(tensor.shape)
        self.laid = [(operator.itemgetter(*flat.places), _end_to_end(flat)) for flat in flats]
        self.addresses = _addresses(chosen)
        self.weights = buffer.split([flat.size for flat in flats])

    def lies_in(self, weights):
        return _addresses(self.chosen(weights)) == self.addresses

    def slots(self):
        """A list of flat tensors for each slot of the rule."""
        return [*zip(*([slot._value for slot in flat.slots] for flat in self.flats), strict=True)]

    def gradients(self, gradients):
        dtype = self.weights[0].dtype
        return [end_to_end(chosen(gradients)).to(dtype) for chosen, end_to_end in self.laid]


def joined(rule, weights):
    """The small weights of `rule` in one buffer; None where there are none, or where they may not be moved.

    `weights` are the tensors of all variables of the rule.
    """
    if not rule.flat_slots or torch.compiler.is_compiling():
        return None
    found = _JOINED.get(rule)
    if found is None or not found.movable or not found.lies_in(weights):
        found = _JOINED[rule] = Joined(rule.flat_slots, weights)
    return found if found.movable else None


def _end_to_end(flat):
    """A function that lays tensors like those of `flat` end to end."""
    if flat.width is not None:
        # Those of one width need no view of each, which would take longer than the copy.
        return lambda tensors: torch.cat(tensors).view(-1)
    return _flatten_dense_tensors


def _addresses(tensors):
    return [*map(torch.Tensor.data_ptr, tensors)]


def _may_move(tensor):
    """Whether nobody else is known to hold this memory: the tensor fills it, alone in this process, or we joined it."""
    if not tensor.is_cpu or not tensor.is_contiguous() or tensor.is_shared():
        return False
    storage = tensor.untyped_storage()
    return storage.nbytes() == tensor.numel() * tensor.element_size() or hasattr(storage, "joins_variables")
