"""The `fit` that is calling a callback: its arguments, whether it still runs, and how it ends where it fails.

Keras hands none of this to a callback, and calls no `on_train_end` after an exception. This is the one file that reads
the stack.
"""

import functools
import sys
import weakref

import keras


def callback_list():
    """The list of callbacks that is calling: it lives as long as its `fit`."""
    return _caller(lambda frame: isinstance(frame.f_locals.get("self"), keras.callbacks.CallbackList)).get("self")


def fit_variables() -> dict:
    """The variables of the `fit` that is calling, its arguments among them; nothing outside of one."""
    return _caller(lambda frame: frame.f_code.co_name == "fit" and "validation_data" in frame.f_locals)


def is_running(callbacks) -> bool:
    """Whether the `fit` with this list of callbacks is among the callers."""
    return callbacks is not None and bool(
        _caller(lambda frame: frame.f_code.co_name == "fit" and _holds(frame.f_locals, callbacks))
    )


def calls_directly(callbacks) -> bool:
    """Whether the `fit` with this list is the nearest one that calls, and not one of its callbacks."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_locals.get("self") is callbacks:
            return False
        if frame.f_code.co_name == "fit" and "epoch_iterator" in frame.f_locals:
            return _holds(frame.f_locals, callbacks)
        frame = frame.f_back
    return False


def is_training() -> bool:
    """Whether a model's `fit` or `train_on_batch` is among the callers."""
    return bool(_caller(lambda frame: frame.f_code.co_name in ("fit", "train_on_batch") and _is_of_model(frame)))


def number_of_fits(model) -> int:
    """The number of running calls of the model's `fit`, each inside a callback of the one before."""
    frame, number = sys._getframe(1), 0
    while frame is not None:
        number += frame.f_code.co_name == "fit" and "epoch_iterator" in frame.f_locals and _is_of_model(frame, model)
        frame = frame.f_back
    return number


def _is_of_model(frame, model=None):
    owner = frame.f_locals.get("self")
    return isinstance(owner, keras.Model) if model is None else owner is model


def _holds(variables, callbacks):
    # In `set_model` the list is being made: `fit` has no name for it yet.
    return variables.get("callbacks") is callbacks


def _caller(is_it) -> dict:
    frame = sys._getframe(2)
    while frame is not None:
        if is_it(frame):
            return frame.f_locals
        frame = frame.f_back
    return {}


class Watch:
    """Calls `act()` as soon as an exception leaves what the running `fit` of `model` calls, until `undo`.

    At once, not when the frame of `fit` goes: the handler of the exception may save the model, and a notebook keeps the
    frame. What `fit` calls is its callbacks, `evaluate` and its data; the pipeline watches the train function. What a
    callback calls may fail and be caught there: then nothing has happened.
    """

    def __init__(self, model, callbacks, act):
        self._model, self._act = model, act
        self._callbacks = None
        fit = fit_variables()
        if not isinstance(callbacks, keras.callbacks.CallbackList) or "epoch_iterator" not in fit:
            self._model = None
            return
        watch = weakref.WeakMethod(self._failed)
        self._evaluate = vars(model).get("evaluate")
        model.evaluate = functools.partial(_watched, watch, model.evaluate, by=weakref.ref(callbacks))
        self._callbacks = weakref.ref(callbacks)
        for name in _events():
            # Weakly: a bound method on the list itself would keep the list alive, and with it the data of `fit`.
            setattr(callbacks, name, functools.partial(_watched, watch, _Weak(callbacks, name)))
        batches = fit["epoch_iterator"]
        plain = vars(batches).get("_enumerate_iterator") or _Weak(batches, "_enumerate_iterator")
        batches._enumerate_iterator = functools.partial(_watched_batches, watch, plain)

    def undo(self):
        """Leaves everything as it was; more than once does no harm."""
        if self._model is None:
            return
        del self._model.evaluate
        if self._evaluate is not None:
            self._model.evaluate = self._evaluate
        callbacks = self._callbacks()
        for name in _events() if callbacks is not None else ():
            delattr(callbacks, name)
        self._model = self._act = None

    def _failed(self):
        act = self._act
        if act is not None:
            act()


class _Weak:
    """A method of the class of `owner`, which this does not keep alive."""

    def __init__(self, owner, name):
        self._owner, self._method = weakref.ref(owner), getattr(type(owner), name)

    def __call__(self, *args, **kwargs):
        return self._method(self._owner(), *args, **kwargs)


def _events():
    return [name for name in dir(keras.callbacks.CallbackList) if name.startswith("on_")]


def _watched(watch, plain, *args, by=None, **kwargs):
    try:
        return plain(*args, **kwargs)
    except BaseException:
        failed = watch()
        if failed is not None and (by is None or calls_directly(by())):
            failed()
        raise


def _watched_batches(watch, plain):
    """The steps of an epoch; on PyTorch Keras's `fit` itself reads the batches, from the iterator in their last place.

    The iterators of TensorFlow are left as they are: Keras asks for their type.
    """
    steps = plain()
    while True:
        try:
            first, last, batches = next(steps)
        except StopIteration:
            return
        except BaseException:
            failed = watch()
            if failed is not None:
                failed()
            raise
        if keras.backend.backend() == "torch":
            batches = _WatchedBatches(watch, batches)
        yield first, last, batches


class _WatchedBatches:
    def __init__(self, watch, batches):
        self._watch, self._batches = watch, batches

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self._batches)
        except StopIteration:
            raise
        except BaseException:
            failed = self._watch()
            if failed is not None:
                failed()
            raise
