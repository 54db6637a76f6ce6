"""The `fit` that is calling a callback: its arguments, its parts, and how it ends where it fails.

Keras hands none of them to a callback, and calls no `on_train_end` after an exception.
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


def _caller(is_it) -> dict:
    frame = sys._getframe(2)
    while frame is not None:
        if is_it(frame):
            return frame.f_locals
        frame = frame.f_back
    return {}


class TrainFunction:
    """The train function of a model inside of functions `around(function, *args)`, each of which may call it."""

    def __init__(self, plain):
        self.plain = plain
        self.around = []

    def __call__(self, *args):
        call = self.plain
        for around in self.around:
            call = functools.partial(around, call)
        return call(*args)


def surround(model, around):
    """Puts `around` around the model's train function; what Keras has made anew has lost it."""
    if not isinstance(model.train_function, TrainFunction):
        model.train_function = TrainFunction(model.train_function)
    if around not in model.train_function.around:
        model.train_function.around.append(around)


def release(model, around):
    """Takes `around` away again."""
    function = model.train_function
    if isinstance(function, TrainFunction) and around in function.around:
        function.around.remove(around)
        if not function.around:
            model.train_function = function.plain


class Interruption:
    """Calls `act()` as soon as an exception leaves anything that the running `fit` of `model` calls, until `undo`.

    At once, not when the frame of `fit` goes: the handler of the exception may save the model, and a notebook keeps the
    frame. What `fit` calls are the train function, `evaluate`, its callbacks and its iterator of batches.
    """

    def __init__(self, model, act):
        fit = fit_variables()
        self._model, self._act = model, act
        self._classes = []
        self._finalizer = None
        self._evaluate = vars(model).get("evaluate")
        model.evaluate = functools.partial(self._guarded, model.evaluate)
        callbacks = fit.get("callbacks")
        if isinstance(callbacks, keras.callbacks.CallbackList):
            self._guard(callbacks, [name for name in dir(keras.callbacks.CallbackList) if name.startswith("on_")])
            # An interrupt between two of these calls passes unseen; then this clears up.
            self._finalizer = weakref.finalize(callbacks, self.undo)
            self._finalizer.atexit = False
        if "epoch_iterator" in fit:
            self._guard(fit["epoch_iterator"], ["__next__"])

    def watch_steps(self):
        """To be called at the beginning of each epoch: callbacks may make Keras make the train function anew."""
        surround(self._model, self._guarded)

    def undo(self):
        """Leaves everything as it was; more than once does no harm."""
        if self._model is None:
            return
        release(self._model, self._guarded)
        del self._model.evaluate
        if self._evaluate is not None:
            self._model.evaluate = self._evaluate
        for owner, plain in self._classes:
            if owner() is not None:
                owner().__class__ = plain
        if self._finalizer is not None:
            self._finalizer.detach()
        self._model = self._act = None

    def _guard(self, owner, names):
        # By its class: an attribute that holds a method of its owner would keep the owner alive.
        plain = type(owner)
        self._classes.append((weakref.ref(owner), plain))
        owner.__class__ = type(plain.__name__, (plain,), {name: self._method(getattr(plain, name)) for name in names})

    def _method(self, plain):
        @functools.wraps(plain)
        def method(owner, *args, **kwargs):
            return self._guarded(plain, owner, *args, **kwargs)

        return method

    def _guarded(self, plain, *args, **kwargs):
        try:
            return plain(*args, **kwargs)
        except StopIteration:
            # The data are at their end, no more.
            raise
        except BaseException:
            act = self._act
            self.undo()
            if act is not None:
                act()
            raise
