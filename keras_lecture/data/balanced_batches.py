"""`BalancedBatches`: batches in which all classes are equally represented."""

from typing import Any

import numpy as np

from keras_lecture._core import checks
from keras_lecture.data._rows import examples
from keras_lecture.data._rows.labels import class_numbers
from keras_lecture.data.batches import Batches


class BalancedBatches(Batches):
    """Shuffled batches with equal numbers of examples of each class.

    Use it where some classes are rare: every step then has gradients from all classes. It costs longer epochs: the
    number of classes times the size of the largest class.

        order = a₁ b₁ c₁ a₂ b₂ c₂ …    aⱼ, bⱼ, cⱼ the shuffled examples of class a, b, c

    An epoch visits each example of the largest class once. The smaller classes are reshuffled and repeated; the visits
    of two examples of one class differ by at most one. The order of the classes is random in each epoch, and the
    numbers of examples per class differ by at most one in each batch; batches smaller than the number of classes take
    the classes in turn. If all classes are equally large, each example is visited once.

    Args:
        x: Inputs, see `Batches`.
        y: Targets, see `Batches`.
        batch_size: Examples in a batch, ideally a multiple of the number of classes. Defaults to `32`.
        labels: The classes: integers, strings or one-hot rows, one per example. Defaults to `y`.
        **kwargs: `sample_weight`, `seed`, `last` and the worker arguments of `Batches`.

    Example:
        >>> y = np.array([0, 0, 0, 0, 0, 1])
        >>> batches = keras_lecture.data.BalancedBatches(np.arange(6), y, batch_size=4, seed=0)
        >>> [np.bincount(y).tolist() for x, y in batches]
        [[2, 2], [2, 2], [1, 1]]

    Reference:
        Deck E (all classes equally represented in batches). The model learns the classes as if they were equally
        frequent, so its probabilities are biased by the ratio of the frequencies.
    """

    def __init__(self, x: Any, y: Any = None, batch_size: int = 32, *, labels: Any = None, **kwargs: Any) -> None:
        argument = "y" if labels is None else "labels"
        chosen = y if labels is None else labels
        if chosen is None or labels is None and examples.is_several(y):
            checks.reject(
                "BalancedBatches", argument, "one array", type(y), "Give class numbers as `labels`.", TypeError
            )
        (x,), count = examples.arrays("BalancedBatches", x=x)
        numbers = class_numbers("BalancedBatches", argument, chosen, count, "Give class numbers as `labels`.")
        self._members = [np.flatnonzero(numbers == number) for number in range(numbers.max() + 1)]
        super().__init__(x, y, batch_size, **kwargs)

    @property
    def visits(self) -> int:
        return len(self._members) * max(map(len, self._members))

    def order(self, epoch: int) -> np.ndarray:
        random = self._random(epoch)
        turns = random.permutation(len(self._members))
        return np.stack([self._drawn(random, self._members[turn]) for turn in turns], axis=1).reshape(-1)

    def _drawn(self, random, members):
        needed = max(map(len, self._members))
        return np.concatenate([random.permutation(members) for _ in range(0, needed, len(members))])[:needed]
