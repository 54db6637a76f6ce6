"""`CyclicBatches`: the same order in every epoch."""

import numpy as np

from keras_lecture.data.batches import Batches


class CyclicBatches(Batches):
    """Batches in one fixed cyclic order.

    Use it where the order is part of the method, or must not change: to compare optimizers step by step, to evaluate
    and predict. Costs a copy of the rows, like the others. Not for examples sorted by class without a `seed`.

        j = 1, 2, …, N, 1, 2, …    the example of each update, with batches of one

    Args:
        x: Inputs, see `Batches`.
        y: Targets, see `Batches`.
        batch_size: Examples in a batch. Defaults to `32`.
        sample_weight: A weight per example, or one array per output.
        seed: Draws the one order that is kept. Defaults to `None`: the order of the arrays.
        last: What becomes of a last batch that is not full, see `Batches`; with `"fill"` the next epoch goes on in the
            circle where this one ends. Defaults to `"keep"`.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of `keras.utils.PyDataset`.

    Example:
        >>> batches = keras_lecture.data.CyclicBatches(np.arange(5), batch_size=2, last="fill")
        >>> [x.tolist() for x, in batches], batches.order(1).tolist()
        ([[0, 1], [2, 3], [4, 0]], [1, 2, 3, 4, 0])

    Reference:
        Deck B (the cyclic rule j = 1, 2, …, N). `fit` has to be told `shuffle=False`, or it takes the batches in
        another order; a warning says so where it does.
    """

    order_matters = True

    def __init__(
        self,
        x,
        y=None,
        batch_size: int = 32,
        *,
        sample_weight=None,
        seed: int | None = None,
        last: str = "keep",
        **kwargs,
    ):
        super().__init__(x, y, batch_size, sample_weight=sample_weight, seed=seed, last=last, **kwargs)
        self._is_drawn = seed is not None

    def order(self, epoch: int) -> np.ndarray:
        """The rows of the examples in the order in which `epoch` visits them."""
        circle = self._random(0).permutation(self._count) if self._is_drawn else np.arange(self._count)
        return np.roll(circle, -epoch * len(self) * self.batch_size) if self.last == "fill" else circle
