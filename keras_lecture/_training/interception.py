"""Intercepts an optimizer's methods while a train step runs, so that the stages see and change the optimizer step."""

import contextlib
import threading

_METHODS = ("apply", "stateless_apply", "scale_loss")
_LOCK = threading.Lock()
_interceptions = {}


@contextlib.contextmanager
def intercepted(optimizer, step):
    """In this block and thread `optimizer.apply(…)` calls `step.apply(plain, …)`; likewise the two other methods.

    TensorFlow runs the train step of each replica in its own thread, all with the same optimizer. So the methods are
    replaced once, for as long as any thread needs them, and look up the step of the calling thread.
    """
    with _LOCK:
        if id(optimizer) not in _interceptions:
            _interceptions[id(optimizer)] = _Interception(optimizer)
        interception = _interceptions[id(optimizer)]
        interception.users += 1
    outer, interception.local.step = getattr(interception.local, "step", None), step
    try:
        yield
    finally:
        interception.local.step = outer
        with _LOCK:
            interception.users -= 1
            if not interception.users:
                interception.end()
                del _interceptions[id(optimizer)]


class _Interception:
    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.users = 0
        self.local = threading.local()
        self._own = {name: vars(optimizer)[name] for name in _METHODS if name in vars(optimizer)}
        for name in _METHODS:
            setattr(optimizer, name, self._redirected(name, getattr(optimizer, name)))

    def _redirected(self, name, plain):
        def method(*args, **kwargs):
            step = getattr(self.local, "step", None)
            return plain(*args, **kwargs) if step is None else getattr(step, name)(plain, *args, **kwargs)

        return method

    def end(self):
        """Restores the optimizer's own methods."""
        for name in _METHODS:
            delattr(self.optimizer, name)
            if name in self._own:
                setattr(self.optimizer, name, self._own[name])
