"""The methods of an optimizer lead through the train step that runs in this thread, while one runs."""

import contextlib
import threading

_METHODS = ("apply", "stateless_apply", "scale_loss")
_LOCK = threading.Lock()
_meetings = {}


@contextlib.contextmanager
def met(optimizer, step):
    """In this block and thread `optimizer.apply(…)` is `step.apply(plain, …)`, and so are the two other methods.

    TensorFlow runs the train step of each replica in a thread of its own, all on one optimizer: its methods are
    replaced once, for as long as any of them runs, and ask which step is theirs.
    """
    with _LOCK:
        if id(optimizer) not in _meetings:
            _meetings[id(optimizer)] = _Meeting(optimizer)
        meeting = _meetings[id(optimizer)]
        meeting.guests += 1
    outer, meeting.here.step = getattr(meeting.here, "step", None), step
    try:
        yield
    finally:
        meeting.here.step = outer
        with _LOCK:
            meeting.guests -= 1
            if not meeting.guests:
                meeting.end()
                del _meetings[id(optimizer)]


class _Meeting:
    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.guests = 0
        self.here = threading.local()
        self._own = {name: vars(optimizer)[name] for name in _METHODS if name in vars(optimizer)}
        for name in _METHODS:
            setattr(optimizer, name, self._leading(name, getattr(optimizer, name)))

    def _leading(self, name, plain):
        def method(*args, **kwargs):
            step = getattr(self.here, "step", None)
            return plain(*args, **kwargs) if step is None else getattr(step, name)(plain, *args, **kwargs)

        return method

    def end(self):
        for name in _METHODS:
            delattr(self.optimizer, name)
            if name in self._own:
                setattr(self.optimizer, name, self._own[name])
