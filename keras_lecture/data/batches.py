"""`Batches`: shuffled batches whose order is a function of seed and epoch, and the base of the other orders."""

import operator
import warnings

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture.data._rows import examples


class Batches(keras.utils.PyDataset):
    """Batches of examples in memory, shuffled anew in each epoch, in an order that can be had again.

    Use it where a run must be repeatable, or resumable, example for example: on every backend the order depends on
    the seed and on the number of the epoch, and on nothing else. Costs what `fit` itself does to shuffle arrays.

        batch i of epoch e = rows π[i·b … (i+1)·b − 1],  π a permutation drawn by Philox from the key (s, e)

    b `batch_size`, s `seed`. Equal seeds give equal batches. A subclass that defines `order` has another order.

    Args:
        x: Inputs: an array, a list of numbers or strings, or a list, tuple or dict of arrays, with one row per example.
            Memory-mapped arrays are read batch by batch; frames and series of pandas and polars become arrays.
        y: Targets, likewise; without them the batches are `(x,)`.
        batch_size: Examples in a batch. Defaults to `32`.
        sample_weight: A weight per example, or one array per output.
        seed: Of all orders. Defaults to a random one, which `state` carries.
        last: What becomes of a last batch that is not full: `"keep"` it as it is, `"drop"` it, or `"fill"` it up from
            the beginning of the epoch's order. Defaults to `"keep"`.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of `keras.utils.PyDataset`.

    Example:
        >>> batches = keras_lecture.data.Batches(np.arange(5), batch_size=2, seed=0)
        >>> [x.tolist() for x, in batches]
        [[4, 1], [2, 0], [3]]
        >>> batches.order(1).tolist()
        [0, 2, 4, 1, 3]

    Reference:
        Deck E (shuffle before each epoch). Salmon et al., 2011, doi:10.1145/2063384.2063405 (Philox). `fit` takes
        whole batches in an order of its own, drawn from Python's random numbers, unless it is told `shuffle=False`.
        Keras calls `on_epoch_end` also where there was no epoch: the epoch moves on only once all of its batches have
        been read, and one that was cut short begins anew. Before it trains, Keras reads one batch or two; where these
        are all there are, that counts as an epoch. With several workers, which read ahead, every epoch counts that
        Keras begins. On JAX and PyTorch, Keras 3.15 begins one to build the model, and hands what the workers have
        ready by then to the first real one, in place of its last batches; `model.test_on_batch(*batches[0])` before
        `fit` builds it without. Workers pay where the arrays are on a slow disk, not in memory.
    """

    # Whether the batches of an epoch must come one after the other.
    order_matters = False

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
            remedy = 'With `last="drop"` nothing is left.'
            checks.reject(owner, "batch_size", f"at most {self.visits}", batch_size, remedy)
        super().__init__(**kwargs)
        self._arrays = arrays
        self.batch_size = batch_size
        self.last = last
        self.seed = int(np.random.randint(2**31) if seed is None else seed)
        self._is_begun = False
        self._begin(0)

    @property
    def epoch(self) -> int:
        """The number of the epoch whose batches are read now, from 0."""
        return self._epoch

    @property
    def visits(self) -> int:
        """How many examples an epoch visits, one that it visits twice counted twice."""
        return self._count

    def order(self, epoch: int) -> np.ndarray:
        """The rows of the examples in the order in which `epoch` visits them."""
        return self._random(epoch).permutation(self._count)

    def __len__(self):
        whole, rest = divmod(self.visits, self.batch_size)
        return whole + (rest > 0 and self.last != "drop")

    def __getitem__(self, index):
        index = range(len(self))[operator.index(index)]
        self._note(index)
        order, start = self._order_of(self._epoch), index * self.batch_size
        if self.last == "fill" and start + self.batch_size > len(order):
            order, start = np.take(order, range(start, start + self.batch_size), mode="wrap"), 0
        return examples.rows(self._arrays, order[start : start + self.batch_size], cast=True)

    def on_epoch_begin(self):
        self._is_begun = True
        self._reading = set()

    def on_epoch_end(self):
        begun, self._is_begun = self._is_begun, False
        if not self._unread or begun and self._has_workers:
            self._begin(self._epoch + 1)

    def state(self) -> dict[str, np.ndarray]:
        """What a resumed training needs, see `keras_lecture._core.stateful`."""
        return {"seed": np.asarray(self.seed), "epoch": np.asarray(self._epoch)}

    def restore(self, state: dict[str, np.ndarray]):
        """Goes on from the beginning of the epoch of `state`."""
        self.seed = int(state["seed"])
        self._begin(int(state["epoch"]))

    def _begin(self, epoch):
        self._epoch = epoch
        self._remembered = None, None
        self._unread = set(range(len(self)))
        # Of it, what was read since Keras has begun.
        self._reading = set()

    @property
    def _has_workers(self):
        """Whether others read ahead for Keras: processes unseen from here, threads more than is trained on."""
        return self.workers > 1 or self.workers > 0 and self.use_multiprocessing

    def _note(self, index):
        """Counts a batch as read, and looks whether it was its turn."""
        if index not in self._unread:
            # It has been read before: an earlier reading of this epoch was given up, or was Keras's look at the data.
            self._unread = set(range(len(self))) - self._reading
        self._reading.add(index)
        turn = len(self) - len(self._unread)
        self._unread.discard(index)
        if self.order_matters and self._is_begun and index > turn and not self._has_workers:
            remedy = "Pass `shuffle=False` to `fit` for the order they are made in."
            warnings.warn(
                f"{type(self).__name__}: Keras takes the batches in an order of its own. {remedy}", stacklevel=3
            )

    def _order_of(self, epoch):
        """`order(epoch)`, drawn once; threads that draw it at the same time draw the same."""
        known, order = self._remembered
        if known != epoch:
            order = self.order(epoch)
            self._remembered = epoch, order
        return order

    def _random(self, epoch):
        return np.random.Generator(np.random.Philox(key=np.array([self.seed, epoch], "uint64")))
