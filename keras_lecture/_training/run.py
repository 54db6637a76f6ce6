"""The stages and wrappers of one `fit`."""

import weakref

from keras_lecture import _backend
from keras_lecture._training import running_fit


class Run:
    """The stages and wrappers of one `fit`; removed when it ends, however it ends."""

    def __init__(self, pipeline, callbacks):
        self._pipeline = pipeline
        self.callbacks = None if callbacks is None else weakref.ref(callbacks)
        self._in_fit = running_fit.is_running(callbacks)
        # The last resort: the end of `fit` frees its list of callbacks.
        if callbacks is not None:
            weakref.finalize(callbacks, _call, weakref.WeakMethod(self.interrupted)).atexit = False
        self.stages = []
        # Functions `around(call, *args)` that wrap each call of the train function.
        self.around = []
        self.had_stages = self.has_stepped = False
        self._after_exception = []
        self._watch = running_fit.Watch(pipeline.model, callbacks, self.interrupted)

    def add(self, stage):
        """Adds a stage."""
        if stage in self.stages:
            self.interrupted()
            raise ValueError(f"{type(stage).__name__}: the same callback appears twice in the list of this `fit`.")
        model = self._pipeline.model
        if model.built:
            with _backend.device_scope(model):
                stage.prepare(model.trainable_variables)
        self.had_stages, stage.has_seen = True, False
        self.stages.append(stage)
        self._pipeline.remake()

    def remove(self, stage):
        """Removes a stage at the end of `fit`."""
        if stage in self.stages:
            self.stages.remove(stage)
        self._close_if_empty()

    def surround(self, around):
        """Wraps each call of the train function in `around(call, *args)`."""
        self.around.append(around)
        self._pipeline.wrap()

    def release(self, around):
        """Removes this wrapper."""
        if around in self.around:
            self.around.remove(around)
        self._close_if_empty()

    def when_interrupted(self, act):
        """Calls `act()` as soon as an exception leaves a call of this `fit`, before any handler runs."""
        self._after_exception.append(act)
        self._pipeline.wrap()

    def stop_waiting(self, act):
        """Removes `act`."""
        if act in self._after_exception:
            self._after_exception.remove(act)
        self._close_if_empty()

    def interrupted(self):
        """After an exception: removes everything, then calls the functions registered by `when_interrupted`."""
        if self not in self._pipeline.runs:
            return
        acts, self._after_exception = self._after_exception, []
        _backend.recover(self._pipeline.model)
        self._pipeline.close(self)
        for act in acts:
            act()

    def is_over(self) -> bool:
        """Whether its `fit` has ended without notice."""
        return self._in_fit and not running_fit.is_running(self.callbacks())

    def undo(self):
        """Removes the watch, the stages and the wrappers."""
        self._watch.undo()
        self.stages, self.around, self._after_exception = [], [], []

    def _close_if_empty(self):
        if not (self.stages or self.around or self._after_exception):
            self._pipeline.close(self)


def _call(method):
    if method() is not None:
        method()()
