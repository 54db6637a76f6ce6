"""Where a `fit` is in its data: what brings another process to the same place, and what cannot be brought there."""

import functools
import types
import weakref

import keras

from keras_lecture import _backend
from keras_lecture._core.stateful import Stateful


class DataPosition:
    """The data of the running `fit`, given its variables, and the order of its batches.

    `between(batch)` is called between two steps of an epoch, after all callbacks, with the number of the next batch.

    An epoch is taken up in its middle by drawing the batches that were done once more, without training on them: what
    Keras and the data draw at random while they make them is drawn again, whatever it is. The iterator of batches in
    `fit` has no public name in Keras: this is the one file that touches it.
    """

    def __init__(self, fit, between):
        self._data = {"training": fit.get("x"), "validation": fit.get("validation_data")}
        self._fit = {name: fit.get(name) for name in ("shuffle", "steps_per_epoch")}
        self._between = between
        self._done, self._arrived = 0, None
        batches = fit["epoch_iterator"]
        # Weakly: the iterator must go with its `fit`, and the data with it.
        self._batches = weakref.ref(batches)
        batches._enumerate_iterator = functools.partial(_enumerate, weakref.ref(batches), self)
        _forget_early_batches(batches)

    @property
    def number(self) -> int | None:
        """How many batches an epoch has; `None` where the data do not tell."""
        return self._batches().num_batches

    def build(self, model):
        """Makes what the first step would make, so that there are variables to assign to."""
        _backend.build(model, self._batches())

    def obstacle(self) -> str | None:
        """Why another process cannot find the same batches, in words."""
        x, shuffle, steps = self._data["training"], self._fit["shuffle"], self._fit["steps_per_epoch"]
        if isinstance(x, types.GeneratorType):
            return "a generator cannot be wound forward, a new process gets its first batches again"
        if isinstance(x, keras.utils.PyDataset):
            whole = steps in (None, x.num_batches)
        elif all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x)):
            whole = steps is None
            if shuffle and not _backend.shuffles_alike():
                return "TensorFlow shuffles arrays without a seed: call `keras.utils.set_random_seed` before `fit`"
        else:
            return f"a {type(x).__name__} keeps its order to itself, and it must be the same in every epoch"
        return None if whole else "with `steps_per_epoch` an epoch begins in the middle of the data"

    def state(self) -> dict:
        """What the order of the coming batches depends on, for data that tell."""
        return {name: data.state() for name, data in self._data.items() if isinstance(data, Stateful)}

    def restore(self, saved: dict):
        """Puts `state` back."""
        for name, state in saved.items():
            if isinstance(self._data[name], Stateful):
                self._data[name].restore(state)

    def live_through(self, epochs: int):
        """Lets training data without a state begin and end as many epochs: what they shuffle then, they do again."""
        data = self._data["training"]
        if isinstance(data, keras.utils.PyDataset) and not isinstance(data, Stateful):
            for _ in range(epochs):
                data.on_epoch_begin()
                data.on_epoch_end()

    def skip(self, done: int, arrived):
        """The coming epoch begins with its batch number `done`; then calls `arrived()`."""
        self._done, self._arrived = done, arrived

    def steps(self, plain):
        """The steps of an epoch: the numbers of their first and last batch, and where the batches come from."""
        done, self._done = self._done, 0
        for first, last, batches in plain:
            if first < done:
                for _ in range(first, last + 1):
                    next(batches)
                continue
            if done:
                self._arrived()
                done = 0
            elif first:
                self._between(first)
            yield first, last, batches


def _enumerate(batches, position):
    batches = batches()
    yield from position.steps(type(batches)._enumerate_iterator(batches))


def _forget_early_batches(batches):
    """Drops what the workers of a PyDataset had ready before the first epoch.

    Keras 3.15 takes a batch to build the model, winds back, and hands out as many batches twice as workers had made
    ready by then, at the expense of the last ones; so the first epoch would depend on their speed.
    """
    ready = getattr(getattr(batches.data_adapter, "enqueuer", None), "ready_queue", None)
    while ready is not None and not ready.empty():
        ready.get()
