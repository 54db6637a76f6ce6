"""The position of a `fit` in its data, how another process restores it, and for which data it cannot."""

import functools
import types
import weakref

import keras

from keras_lecture import _backend
from keras_lecture._core.stateful import Stateful


class DataPosition:
    """The data of the running `fit`, given its variables, and the order of its batches.

    `between(batch)` is called between two steps of an epoch, after all callbacks, with the number of the next batch.

    To resume within an epoch, the finished batches are drawn again without training on them, so that Keras and the data
    draw the same random numbers again. The iterator of batches in `fit` has no public name in Keras: only this file
    uses it.
    """

    def __init__(self, fit, between):
        self._data = {"training": fit.get("x"), "validation": fit.get("validation_data")}
        self._fit = {name: fit.get(name) for name in ("shuffle", "steps_per_epoch")}
        self._between = between
        self._done, self._arrived = 0, None
        batches = fit["epoch_iterator"]
        # A weak reference: the iterator and its data must be freed when `fit` ends.
        self._batches = weakref.ref(batches)
        batches._enumerate_iterator = functools.partial(_enumerate, weakref.ref(batches), self)
        _forget_early_batches(batches)

    @property
    def number(self) -> int | None:
        """The number of batches in an epoch; `None` if it is unknown."""
        return self._batches().num_batches

    def build(self, model):
        """Builds what the first step would build, so that there are variables to assign to."""
        _backend.build(model, self._batches())

    def obstacle(self) -> str | None:
        """Why another process cannot reproduce the batches, in words; `None` if it can."""
        x, shuffle, steps = self._data["training"], self._fit["shuffle"], self._fit["steps_per_epoch"]
        if isinstance(x, types.GeneratorType):
            return "a generator cannot skip batches, so that a new process gets the first ones again"
        if isinstance(x, keras.utils.PyDataset):
            whole = steps in (None, x.num_batches)
        elif all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x)):
            whole = steps is None
            if shuffle and not _backend.shuffles_alike():
                return "TensorFlow shuffles arrays without a seed: call `keras.utils.set_random_seed` before `fit`"
        else:
            return f"the order of a {type(x).__name__} is unknown, and must be the same in every epoch"
        return None if whole else "with `steps_per_epoch` an epoch begins in the middle of the data"

    def state(self) -> dict:
        """The states of `Stateful` data, which determine the order of the next batches."""
        return {name: data.state() for name, data in self._data.items() if isinstance(data, Stateful)}

    def restore(self, saved: dict):
        """Restores the result of `state`."""
        for name, state in saved.items():
            if isinstance(self._data[name], Stateful):
                self._data[name].restore(state)

    def replay_epochs(self, epochs: int):
        """Repeats the shuffling of past epochs, by the epoch hooks of a `PyDataset` that is not `Stateful`."""
        adapter = self._batches().data_adapter
        if hasattr(adapter, "_epoch"):
            # Keras 3.16 shuffles by the number of epochs that this `fit` has ended.
            adapter._epoch += epochs
        data = self._data["training"]
        if isinstance(data, keras.utils.PyDataset) and not isinstance(data, Stateful):
            for _ in range(epochs):
                data.on_epoch_begin()
                data.on_epoch_end()

    def skip(self, done: int, arrived):
        """Starts the next epoch with its batch number `done`, and calls `arrived()` before it."""
        self._done, self._arrived = done, arrived

    def steps(self, plain):
        """The steps of an epoch: the numbers of their first and last batch, and the iterator of batches."""
        done, self._done = self._done, 0
        for first, last, batches in plain:
            if first < done:
                _backend.execution(batches, last + 1 - first)
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
    """Drops the batches that the workers of a PyDataset have prepared before the first epoch.

    Keras 3.15 takes a batch to build the model, starts over, and then repeats as many batches as the workers had
    prepared, in place of the last ones; so the first epoch would depend on their speed.
    """
    ready = getattr(getattr(batches.data_adapter, "enqueuer", None), "ready_queue", None)
    while ready is not None and not ready.empty():
        ready.get()
