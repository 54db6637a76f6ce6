"""The `fit` that is calling a callback: its arguments, whether it is still running, and its end by an exception.

Keras passes none of this to a callback, and does not call `on_train_end` after an exception. Only this file reads the
call stack.
"""

import functools
import sys
import weakref

import keras


def callback_list():
    """The calling list of callbacks, which lives as long as its `fit`."""
    return _find(lambda frame: isinstance(frame.f_locals.get("self"), keras.callbacks.CallbackList)).get("self")


def fit_variables() -> dict:
    """The local variables of the calling `fit`, including its arguments; empty outside of a `fit`."""
    return _find(lambda frame: frame.f_code.co_name == "fit" and "validation_data" in frame.f_locals)


def is_running(callbacks) -> bool:
    """Whether the `fit` with this list of callbacks is on the call stack."""
    return callbacks is not None and bool(
        _find(lambda frame: frame.f_code.co_name == "fit" and _holds(frame.f_locals, callbacks))
    )


def calls_directly(callbacks) -> bool:
    """Whether the innermost `fit` on the call stack has this list of callbacks, and none of these is calling."""
    for frame in _callers():
        if frame.f_locals.get("self") is callbacks:
            return False
        if _is_fit(frame):
            return _holds(frame.f_locals, callbacks)
    return False


def is_training() -> bool:
    """Whether a model's `fit` or `train_on_batch` is on the call stack."""
    return bool(
        _find(
            lambda frame: (
                frame.f_code.co_name in ("fit", "train_on_batch")
                and isinstance(frame.f_locals.get("self"), keras.Model)
            )
        )
    )


def number_of_fits(model) -> int:
    """The number of nested calls of the model's `fit`, each from a callback of the outer one."""
    return sum(_is_fit(frame) and frame.f_locals.get("self") is model for frame in _callers())


def _callers():
    """Yields the frames of the call stack from the caller of the function that iterates, outward."""
    frame = sys._getframe(1).f_back
    while frame is not None:
        yield frame
        frame = frame.f_back


def _find(condition) -> dict:
    """The local variables of the innermost frame that meets the condition."""
    return next((frame.f_locals for frame in _callers() if condition(frame)), {})


def _is_fit(frame) -> bool:
    return frame.f_code.co_name == "fit" and "epoch_iterator" in frame.f_locals


def _holds(variables, callbacks) -> bool:
    # During `set_model` the list is still being constructed: `fit` has no name for it yet.
    return variables.get("callbacks") is callbacks


class Watch:
    """Calls `act()` as soon as the running `fit` of `model` fails, until `undo`.

    It acts at once, and not when the frame of `fit` is freed: the handler of the exception may save the model, and a
    notebook keeps the frame alive. Watched are the calls that `fit` itself makes: of its callbacks, of `evaluate` and
    of its data; the pipeline watches the train function. A call inside a callback may fail and be caught there: this
    does not count as a failure.
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
            # A bound method stored on the list would keep the list alive, and with it the data of `fit`.
            setattr(callbacks, name, functools.partial(_watched, watch, _Weak(callbacks, name)))
        iterator = fit["epoch_iterator"]
        plain = vars(iterator).get("_enumerate_iterator") or _Weak(iterator, "_enumerate_iterator")
        iterator._enumerate_iterator = functools.partial(_watched_steps, watch, plain)

    def undo(self):
        """Restores the patched methods; may be called more than once."""
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
    """A bound method that does not keep its object alive."""

    def __init__(self, owner, name):
        self._owner, self._method = weakref.ref(owner), getattr(type(owner), name)

    def __call__(self, *args, **kwargs):
        return self._method(self._owner(), *args, **kwargs)


def _events():
    return [name for name in dir(keras.callbacks.CallbackList) if name.startswith("on_")]


def _watched(watch, plain, *args, by=None, **kwargs):
    """Calls `plain` and reports an exception; with `by`, only if the `fit` of these callbacks made the call itself."""
    try:
        return plain(*args, **kwargs)
    except BaseException:
        failed = watch()
        if failed is not None and (by is None or calls_directly(by())):
            failed()
        raise


def _watched_steps(watch, plain):
    """The steps of an epoch. On PyTorch `fit` itself reads the batches from the third element of a step.

    TensorFlow's iterators are not wrapped, because Keras checks their type.
    """
    steps = plain()
    while (step := _watched(watch, next, steps, None)) is not None:
        first, last, batches = step
        yield first, last, _WatchedBatches(watch, batches) if keras.backend.backend() == "torch" else batches


class _WatchedBatches:
    _END = object()

    def __init__(self, watch, batches):
        self._watch, self._batches = watch, batches

    def __iter__(self):
        return self

    def __next__(self):
        batch = _watched(self._watch, next, self._batches, self._END)
        if batch is self._END:
            raise StopIteration
        return batch
