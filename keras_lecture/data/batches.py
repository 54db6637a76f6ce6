"""`Batches`: shuffled batches whose order depends on seed and epoch only; the base class of the other orders."""

import operator
import warnings
from typing import Any

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture.data._rows import examples


class Batches(keras.utils.PyDataset):
    """Batches of examples in memory, reshuffled in each epoch in a reproducible order.

    Use it where a run must be repeatable or resumable example by example: on every backend the order depends only on
    the seed and the number of the epoch. It costs as much as the shuffling of arrays in `fit`.

        batch i of epoch e = rows π[i·b … (i+1)·b − 1],  π a random permutation by Philox with key (s, e)

    b `batch_size`, s `seed`. Equal seeds give equal batches. Subclasses may override `order`,
    and `visits` if its length is another.

    Args:
        x: Inputs: an array, a list of numbers or strings, or a list, tuple or dict of arrays, with one row per example.
            Strings become tensors on TensorFlow, the only framework with such. Memory-mapped arrays are read batch by
            batch; frames and series of pandas and polars become arrays.
        y: Targets, in the same forms; without them the batches are `(x,)`.
        batch_size: Examples in a batch. Defaults to `32`.
        sample_weight: A weight per example, or one array per output.
        seed: Seed of all orders. Defaults to a random seed, which is part of `state`.
        last: A last batch that is not full is kept (`"keep"`), dropped (`"drop"`) or filled from the beginning of the
            epoch's order (`"fill"`). Defaults to `"keep"`.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of `keras.utils.PyDataset`.

    Example:
        >>> batches = keras_lecture.data.Batches(np.arange(5), batch_size=2, seed=0)
        >>> [x.tolist() for x, in batches]
        [[4, 1], [2, 0], [3]]
        >>> batches.order(1).tolist()
        [0, 2, 4, 1, 3]

    Reference:
        Deck E (shuffle before each epoch). Salmon et al., 2011, doi:10.1145/2063384.2063405 (Philox). Without
        `shuffle=False`, `fit` also shuffles the order of the batches, with Python's random numbers. Keras also calls
        `on_epoch_end` when no epoch was read, so the epoch advances only after all of its batches have been read; an
        interrupted epoch starts over. Before training, Keras reads one or two batches; if there are no others, this
        counts as an epoch. With several workers, which read ahead, every epoch that Keras begins counts. On JAX and
        PyTorch, Keras 3.15 begins one to build the model, and passes the batches that the workers have ready by then to
        the first real epoch, in place of its last batches; call `model.test_on_batch(*batches[0])` before `fit` to
        avoid this. Workers are worthwhile for arrays on a slow disk, not in memory.
    """

    # Whether the batches of an epoch must be read in order.
    order_matters: bool = False

    def __init__(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        *,
        sample_weight: Any = None,
        seed: int | None = None,
        last: str = "keep",
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        if y is None and sample_weight is not None:
            checks.reject(owner, "sample_weight", "None without `y`", sample_weight)
        arrays, count = examples.arrays(owner, x=x, y=y, sample_weight=sample_weight)
        for argument, structure in zip(("x", "y", "sample_weight"), arrays, strict=False):
            examples.check_values(owner, argument, structure)
        checks.whole(owner, "batch_size", batch_size)
        if seed is not None:
            checks.whole(owner, "seed", seed, "[0, 4294967295]")
        checks.one_of(owner, "last", last, ("keep", "drop", "fill"))
        self._count = count
        if last == "drop" and batch_size > self.visits:
            remedy = 'With `last="drop"` no batch would be left.'
            checks.reject(owner, "batch_size", f"at most {self.visits}", batch_size, remedy)
        super().__init__(**kwargs)
        self._arrays = arrays
        self.batch_size = batch_size
        self.last = last
        self.seed: int = int(np.random.randint(2**31) if seed is None else seed)
        self._is_seeded = seed is not None
        self._is_begun = False
        self._begin(0)

    @property
    def epoch(self) -> int:
        """Index of the current epoch, from 0."""
        return self._epoch

    @property
    def visits(self) -> int:
        """Number of examples that an epoch visits, counting repeated visits."""
        return self._count

    def order(self, epoch: int) -> np.ndarray:
        """Row indices of the examples in the order in which `epoch` visits them."""
        return self._random(epoch).permutation(self._count)

    def __len__(self) -> int:
        whole, rest = divmod(self.visits, self.batch_size)
        return whole + (rest > 0 and self.last != "drop")

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        index = range(len(self))[operator.index(index)]
        self._note(index)
        order, start = self._order_of(self._epoch), index * self.batch_size
        if self.last == "fill" and start + self.batch_size > len(order):
            order, start = np.take(order, range(start, start + self.batch_size), mode="wrap"), 0
        return examples.rows(self._arrays, order[start : start + self.batch_size], cast=True)

    def on_epoch_begin(self) -> None:
        self._is_begun = True
        self._reading = set()

    def on_epoch_end(self) -> None:
        begun, self._is_begun = self._is_begun, False
        if not self._unread or begun and self._has_workers:
            self._begin(self._epoch + 1)

    def state(self) -> dict[str, np.ndarray]:
        """State for resuming: the seed and the epoch, see `keras_lecture._core.stateful`."""
        return {"seed": np.asarray(self.seed), "epoch": np.asarray(self._epoch)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continues at the beginning of the epoch of `state`."""
        self.seed = int(state["seed"])
        self._begin(int(state["epoch"]))

    def _begin(self, epoch):
        self._epoch = epoch
        self._remembered = None, None
        self._unread = set(range(len(self)))
        # Batches read since the last `on_epoch_begin`.
        self._reading = set()

    @property
    def _has_workers(self):
        """Whether Keras reads ahead: unseen, in processes, or more than it trains on, in threads."""
        return self.workers > 1 or self.workers > 0 and self.use_multiprocessing

    def _note(self, index):
        """Records that a batch was read, and warns if its order matters and it was read too early."""
        if index not in self._unread:
            # A second read: the first belonged to an abandoned pass or to Keras's inspection of the data.
            self._unread = set(range(len(self))) - self._reading
        self._reading.add(index)
        turn = len(self) - len(self._unread)
        self._unread.discard(index)
        if self.order_matters and self._is_begun and index > turn and not self._has_workers:
            remedy = "Pass `shuffle=False` to `fit` to keep their order."
            warnings.warn(f"{type(self).__name__}: Keras shuffles the batches. {remedy}", stacklevel=3)

    def _order_of(self, epoch):
        """`order(epoch)`, cached; threads that compute it at the same time get the same order."""
        known, order = self._remembered
        if known != epoch:
            order = self.order(epoch)
            if len(order) != self.visits:
                checks.reject(type(self).__name__, "order", f"as many rows as `visits`, {self.visits}", len(order))
            self._remembered = epoch, order
        return order

    def _random(self, epoch):
        return np.random.Generator(np.random.Philox(key=np.array([self.seed, epoch], "uint64")))
