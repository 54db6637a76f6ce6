"""SIGTERM during a `fit`: what a machine that is taken away sends before it kills."""

import contextlib
import signal
import sys
import threading
import weakref

from keras_lecture._training.running_fit import is_running

# What a shell reports for a process that ended by this signal.
STATUS = 128 + signal.SIGTERM


class Termination:
    """Notes SIGTERM while the `fit` of these callbacks runs, in place of the immediate death of the process.

    Only in the main thread, where Python runs signal handlers, and only if nothing else handles the signal.
    """

    def __init__(self, callbacks):
        self.is_asked = self._installed = False
        self._callbacks = weakref.ref(callbacks)

    def begin(self):
        """Handles the signal from now on."""
        if threading.current_thread() is not threading.main_thread():
            return
        present = signal.getsignal(signal.SIGTERM)
        if present is not signal.SIG_DFL and not _is_left_over(present):
            return
        signal.signal(signal.SIGTERM, self._received)
        self._installed = True
        # An exception ends `fit` without `on_train_end`; the end of `fit` frees its list of callbacks.
        weakref.finalize(self._callbacks(), self.end).atexit = False

    def end(self):
        """Restores the default; may be called more than once."""
        # Memory may be freed in another thread, which must not set a handler: then the next signal does it.
        with contextlib.suppress(ValueError):
            if self._installed and signal.getsignal(signal.SIGTERM) == self._received:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def leave(self, message: str):
        """Ends the program, once the run is saved."""
        self.end()
        print(f"ExactResume: SIGTERM received. {message}", file=sys.stderr, flush=True)
        raise SystemExit(STATUS)

    def _received(self, number, frame):
        if is_running(self._callbacks()):
            self.is_asked = True
        else:
            self.end()
            signal.raise_signal(number)


def _is_left_over(handler):
    """Whether `handler` is that of an interrupted `fit`, whose traceback keeps it alive, as in a notebook."""
    owner = getattr(handler, "__self__", None)
    return isinstance(owner, Termination) and not is_running(owner._callbacks())
