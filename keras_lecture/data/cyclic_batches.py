"""`CyclicBatches`: the same order in every epoch."""

import numpy as np

from keras_lecture.data.batches import Batches


class CyclicBatches(Batches):
    """Batches in one fixed cyclic order.

    Use it where the order is part of the method or must not change: to compare optimizers step by step, to evaluate and
    predict. It costs a copy of the rows, like the other batches. For examples sorted by class, pass a `seed`.

        j = 1, 2, …, N, 1, 2, …    the example of each update, for batches of one

    Args:
        x: Inputs, see `Batches`.
        y: Targets, see `Batches`.
        batch_size: Examples in a batch. Defaults to `32`.
        sample_weight: A weight per example, or one array per output.
        seed: Seed of a random order, the same in every epoch. Defaults to `None`, the order of the arrays.
        last: Handling of a last batch that is not full, see `Batches`; with `"fill"` the next epoch continues the cycle
            where this epoch ends. Defaults to `"keep"`.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of `keras.utils.PyDataset`.

    Example:
        >>> batches = keras_lecture.data.CyclicBatches(np.arange(5), batch_size=2, last="fill")
        >>> [x.tolist() for x, in batches], batches.order(1).tolist()
        ([[0, 1], [2, 3], [4, 0]], [1, 2, 3, 4, 0])

    Reference:
        Deck B (the cyclic rule j = 1, 2, …, N). Pass `shuffle=False` to `fit`; otherwise it shuffles the batches, and
        a warning is given.
    """

    order_matters = True

    def order(self, epoch: int) -> np.ndarray:
        cycle = super().order(0) if self._is_seeded else np.arange(self._count)
        return np.roll(cycle, -epoch * len(self) * self.batch_size) if self.last == "fill" else cycle
