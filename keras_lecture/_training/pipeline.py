"""The pipeline of a model: the one place that takes part in its train step, and that leaves it as it was."""

import functools
import weakref

from keras_lecture import _backend
from keras_lecture._training import carried as carrying
from keras_lecture._training import running_fit
from keras_lecture._training.training_step import TrainingStep

# The one attribute that leads from a model to its pipeline, and the methods of the model that it takes over. The last
# two are private names of Keras 3.15: how the logs of the last step become those of an epoch, and of `train_on_batch`.
_HOME = "_training_pipeline"
_METHODS = ("make_train_function", "_get_metrics_result_or_logs", "_flatten_metrics_in_order")


def pipeline_of(model) -> "Pipeline":
    """The pipeline of a model."""
    return vars(model).get(_HOME) or Pipeline(model)


def carried(model) -> list:
    """The variables of all readings that the train step of `model` carries now."""
    pipeline = vars(model).get(_HOME)
    return [] if pipeline is None else pipeline.carried()


class Pipeline:
    """The stages of a model's train step: of the optimizers bound to it, and of the running `fit`.

    Keras asks `make_train_function` for a train step at the beginning of each `fit`, before it takes the state out of
    the model. There the stages are checked and the step is made, a new function each time, because JAX finds compiled
    programs by their function. Nothing else survives a `compile`. A pipeline without stages takes itself away.
    """

    def __init__(self, model):
        self.model = model
        self._bound = []
        self.runs = []
        self._made_for = []
        # The train step that was made last, and what the model had in its place.
        self._step_made = None
        self._own = {}

    def bind(self, stage):
        """Adds a stage that stays as long as its optimizer lives, and acts while the model is compiled with that."""
        self._bound = [ref for ref in self._bound if ref() not in (None, stage)] + [weakref.ref(stage)]
        self._move_in()
        self.model.train_function = None

    def open(self, callbacks) -> "Run":
        """The run of the `fit` with this list of callbacks."""
        self._bury()
        for run in self.runs:
            if run.callbacks is not None and run.callbacks() is callbacks:
                return run
        run = Run(self, callbacks)
        self.runs.append(run)
        self._move_in()
        return run

    def has_made(self, step) -> bool:
        """Whether a train step is the one of this pipeline."""
        return step is self._step_made

    def stages(self) -> list:
        """All stages that act now, in their order."""
        bound = [stage for stage in (ref() for ref in self._bound) if stage is not None and stage.acts_on(self.model)]
        return sorted([*bound, *(stage for run in self.runs for stage in run.stages)], key=lambda stage: stage.rank)

    def carried(self) -> list:
        readings = [stage.readings for run in self.runs for stage in run.stages if stage.readings is not None]
        return [variable for each in readings for variable in each.variables]

    def remake(self):
        """Makes the train step again, with the stages of now."""
        carrying.carry(self.model, self.carried())
        self._make(force=True)

    def wrap(self):
        """Puts what runs have asked for around the train function, which stays as it was compiled."""
        if not isinstance(self.model.train_function, TrainFunction):
            self.model.train_function = TrainFunction(self, self.model.train_function)

    def close(self, run):
        """Takes a run away; more than once does no harm."""
        if run not in self.runs:
            return
        self.runs.remove(run)
        run.undo()
        carrying.carry(self.model, self.carried())
        function = self.model.train_function
        if run.had_stages:
            self.model.train_function = self.model.test_function = self.model.predict_function = None
            if running_fit.number_of_fits(self.model) > 1:
                # A `fit` around this one goes on with the train function that is there then.
                self._make(force=True)
        elif isinstance(function, TrainFunction) and not self.runs:
            self.model.train_function = function.plain
        self._move_out()

    def interrupted(self):
        """After an exception in a step: it ends the `fit` that has called the step itself."""
        for run in self.runs[-1:]:
            if run.callbacks is None or running_fit.calls_directly(run.callbacks()):
                run.interrupted()

    def surround(self, call, *args):
        """The call of the train function inside what runs have put around it."""
        for run in self.runs:
            for around in run.around:
                call = functools.partial(around, call)
        return call(*args)

    def _bury(self):
        """Closes the runs of those `fit` that have ended without a word."""
        for run in [run for run in self.runs if run.is_over()]:
            self.close(run)

    def _move_in(self):
        model = self.model
        if vars(model).get(_HOME) is self:
            return
        self._own = {name: vars(model)[name] for name in (*_METHODS, "train_step") if name in vars(model)}
        setattr(model, _HOME, self)
        for name in _METHODS:
            setattr(model, name, functools.partial(getattr(self, name.lstrip("_")), getattr(model, name)))

    def _move_out(self):
        self._bound = [ref for ref in self._bound if ref() is not None]
        if self._bound or self.runs or vars(self.model).get(_HOME) is not self:
            return
        self._drop_step()
        for name in _METHODS:
            delattr(self.model, name)
            if name in self._own:
                setattr(self.model, name, self._own[name])
        delattr(self.model, _HOME)

    def _drop_step(self):
        step = vars(self.model).get("train_step")
        if step is not None and step is not self._step_made:
            # The user has put another train step on the model since.
            self._own["train_step"] = step
        if step is not None:
            del self.model.train_step
        if "train_step" in self._own:
            self.model.train_step = self._own["train_step"]
        self._step_made = None

    # In place of the model's own methods.

    def make_train_function(self, plain, force=False):
        """Keras's, with the train step of the stages."""
        self._bury()
        if self.model.train_function is None:
            # After a `compile`: the optimizer of before is kept alive by nothing here.
            self._made_for = []
            self._drop_step()
        self._move_out()
        if vars(self.model).get(_HOME) is self:
            self._make(force)
        else:
            plain(force=force)

    def _make(self, force=False):
        model, stages = self.model, self.stages()
        for stage in stages:
            stage.check(model)
        is_ours = isinstance(model.train_function, TrainFunction) or not (stages or self.runs)
        is_ours = is_ours and vars(model).get("train_step") in (self._step_made, self._own.get("train_step"))
        if model.train_function is not None and is_ours and not force and stages == self._made_for:
            return
        self._made_for = stages
        self._drop_step()
        if stages:
            model.train_step = self._step_made = self._step(stages, model.train_step)
        keras_own = self._own.get("make_train_function") or functools.partial(type(model).make_train_function, model)
        keras_own(force=True)
        if stages or self.runs:
            model.train_function = TrainFunction(self, model.train_function)

    def _step(self, stages, plain):
        runs = [run for run in self.runs if run.stages]

        def train_step(*args):
            for run in runs:
                run.has_stepped = True
            return TrainingStep(self.model, stages, self.carried(), plain)(*args)

        return train_step

    def get_metrics_result_or_logs(self, plain, logs):
        """The logs of an epoch: Keras compares the names in `logs` with those of the model's metrics."""
        if not isinstance(logs, dict):
            return plain(logs)
        ours = self._measured() | {name: logs[name] for name in self._logged() if name in logs}
        theirs = plain({name: value for name, value in logs.items() if name not in ours})
        return {**theirs, **{name: value for name, value in ours.items() if name in logs}}

    def flatten_metrics_in_order(self, plain, logs):
        """The list of `train_on_batch`, which has Keras's numbers alone; `return_dict=True` shows all."""
        ours = {*self._measured(), *self._logged()}
        return plain({name: value for name, value in logs.items() if name not in ours})

    def _logged(self):
        return [name for stage in self.stages() for name in stage.logged]

    def _measured(self):
        measured = {}
        for run in self.runs:
            for stage in run.stages:
                if stage.has_seen:
                    measured |= stage.readings.result()
        return measured


class Run:
    """The stages and hooks of one `fit`; they go with it however it ends."""

    def __init__(self, pipeline, callbacks):
        self._pipeline = pipeline
        self.callbacks = None if callbacks is None else weakref.ref(callbacks)
        self._in_fit = running_fit.is_running(callbacks)
        # Where nothing else says that `fit` has ended, its list of callbacks goes with it.
        ending = weakref.WeakMethod(self.interrupted)
        finalizer = None if callbacks is None else weakref.finalize(callbacks, _call, ending)
        if finalizer is not None:
            finalizer.atexit = False
        self.stages = []
        # Functions `around(call, *args)` around each call of the train function.
        self.around = []
        self.had_stages = self.has_stepped = False
        self._after_exception = []
        self._watch = running_fit.Watch(pipeline.model, callbacks, self.interrupted)

    def add(self, stage):
        """Adds a stage."""
        if stage in self.stages:
            self.interrupted()
            raise ValueError(f"{type(stage).__name__}: one callback stands twice in the list of this `fit`.")
        model = self._pipeline.model
        if model.built:
            stage.prepare(model.trainable_variables)
        self.had_stages, stage.has_seen = True, False
        self.stages.append(stage)
        self._pipeline.remake()

    def remove(self, stage):
        """Takes a stage away, at the end of `fit`."""
        if stage in self.stages:
            self.stages.remove(stage)
        self._close_if_empty()

    def surround(self, around):
        """Puts `around(call, *args)` around each call of the train function."""
        self.around.append(around)
        self._pipeline.wrap()

    def release(self, around):
        """Takes it away."""
        if around in self.around:
            self.around.remove(around)
        self._close_if_empty()

    def when_interrupted(self, act):
        """Calls `act()` as soon as an exception leaves anything that this `fit` calls, before any handler runs."""
        self._after_exception.append(act)
        self._pipeline.wrap()

    def stop_waiting(self, act):
        """`act` is not called any more."""
        if act in self._after_exception:
            self._after_exception.remove(act)
        self._close_if_empty()

    def interrupted(self):
        """After an exception: everything goes, then those act who have asked for it."""
        if self not in self._pipeline.runs:
            return
        acts, self._after_exception = self._after_exception, []
        _backend.recover(self._pipeline.model)
        self._pipeline.close(self)
        for act in acts:
            act()

    def is_over(self) -> bool:
        """Whether its `fit` has ended without saying so."""
        return self._in_fit and not running_fit.is_running(self.callbacks())

    def undo(self):
        """Takes the watch away."""
        self._watch.undo()
        self.stages, self.around, self._after_exception = [], [], []

    def _close_if_empty(self):
        if not (self.stages or self.around or self._after_exception):
            self._pipeline.close(self)


def _call(method):
    if method() is not None:
        method()()


class TrainFunction:
    """The train function of a model: what runs put around it, and what follows an exception in it."""

    def __init__(self, pipeline, plain):
        self._pipeline = pipeline
        self.plain = plain

    def __call__(self, *args):
        try:
            return self._pipeline.surround(self.plain, *args)
        except _backend.END_OF_DATA:
            raise
        except BaseException:
            _backend.recover(self._pipeline.model, *args)
            self._pipeline.interrupted()
            raise
