"""The pipeline of a model: the only object that patches its train step, and restores it afterwards."""

import functools
import weakref

from keras_lecture import _backend
from keras_lecture._training import carried as carrying
from keras_lecture._training import running_fit
from keras_lecture._training.run import Run
from keras_lecture._training.training_step import TrainingStep

# The attribute of a model that holds its pipeline, and the methods of the model that the pipeline replaces. The last
# two are private in Keras 3.15: they turn the logs of the last step into those of an epoch and of `train_on_batch`.
_ATTRIBUTE = "_training_pipeline"
_METHODS = ("make_train_function", "_get_metrics_result_or_logs", "_flatten_metrics_in_order")


def pipeline_of(model) -> "Pipeline":
    """The pipeline of a model."""
    return vars(model).get(_ATTRIBUTE) or Pipeline(model)


def carried(model) -> list:
    """The variables of all `Readings` that the train step of `model` carries now."""
    pipeline = vars(model).get(_ATTRIBUTE)
    return [] if pipeline is None else pipeline.carried()


class Pipeline:
    """The stages of a model's train step: those of the optimizers bound to it and those of the running `fit`.

    Keras calls `make_train_function` at the beginning of each `fit`, before it takes the state out of the model. Then
    the stages are checked and a train step is made: a new function each time, because JAX caches compiled programs by
    function. A `compile` discards this step. A pipeline without stages uninstalls itself.
    """

    def __init__(self, model):
        self.model = model
        self._bound = []
        self.runs = []
        # The stages of the train step made last, this step, and the model's own attributes that were replaced.
        self._stages_made = []
        self._made_step = None
        self._own = {}

    def bind(self, stage):
        """Adds a stage that lives as long as its optimizer, and acts while the model is compiled with it."""
        self._bound = [ref for ref in self._bound if ref() not in (None, stage)] + [weakref.ref(stage)]
        self._install()
        self.model.train_function = None

    def open(self, callbacks) -> "Run":
        """The `Run` of the `fit` with this list of callbacks."""
        self._close_ended_runs()
        for run in self.runs:
            if run.callbacks is not None and run.callbacks() is callbacks:
                return run
        run = Run(self, callbacks)
        self.runs.append(run)
        self._install()
        return run

    def has_made(self, step) -> bool:
        """Whether `step` is the train step that this pipeline has made."""
        return step is self._made_step

    def stages(self) -> list:
        """All stages that act now, in order of rank."""
        bound = [stage for stage in (ref() for ref in self._bound) if stage is not None and stage.acts_on(self.model)]
        return sorted([*bound, *(stage for run in self.runs for stage in run.stages)], key=lambda stage: stage.rank)

    def carried(self) -> list:
        """The variables of all `Readings` of the running `fit`s."""
        readings = [stage.readings for run in self.runs for stage in run.stages if stage.readings is not None]
        return [variable for each in readings for variable in each.variables]

    def remake(self):
        """Rebuilds the train step with the present stages."""
        carrying.carry(self.model, self.carried())
        self._make(force=True)

    def wrap(self):
        """Wraps the compiled train function, so that each call goes through `surround`.

        Where there is none yet, `make_train_function` wraps it as soon as it is made.
        """
        function = self.model.train_function
        if function is not None and not isinstance(function, TrainFunction):
            self.model.train_function = TrainFunction(self, function)

    def close(self, run):
        """Removes a run; may be called more than once."""
        if run not in self.runs:
            return
        self.runs.remove(run)
        run.undo()
        carrying.carry(self.model, self.carried())
        function = self.model.train_function
        if run.had_stages:
            self.model.train_function = self.model.test_function = self.model.predict_function = None
            if running_fit.number_of_fits(self.model) > 1:
                # The outer `fit` continues with the train function that it finds on the model.
                self._make(force=True)
        elif isinstance(function, TrainFunction) and not self.runs and not self._stages_made:
            self.model.train_function = function.plain
        self._uninstall_if_idle()

    def interrupted(self):
        """After an exception in a step: ends the innermost run if its `fit` made the call itself."""
        for run in self.runs[-1:]:
            if run.callbacks is None or running_fit.calls_directly(run.callbacks()):
                run.interrupted()

    def surround(self, call, *args):
        """Calls the train function inside the wrappers of all runs."""
        for run in self.runs:
            for around in run.around:
                call = functools.partial(around, call)
        return call(*args)

    def _close_ended_runs(self):
        """Closes the runs whose `fit` has ended without notice."""
        for run in [run for run in self.runs if run.is_over()]:
            self.close(run)

    def _install(self):
        model = self.model
        if vars(model).get(_ATTRIBUTE) is self:
            return
        self._own = {name: vars(model)[name] for name in (*_METHODS, "train_step") if name in vars(model)}
        setattr(model, _ATTRIBUTE, self)
        for name in _METHODS:
            setattr(model, name, functools.partial(getattr(self, name.lstrip("_")), getattr(model, name)))

    def _uninstall_if_idle(self):
        self._bound = [ref for ref in self._bound if ref() is not None]
        if self._bound or self.runs or vars(self.model).get(_ATTRIBUTE) is not self:
            return
        self._remove_step()
        for name in _METHODS:
            delattr(self.model, name)
            if name in self._own:
                setattr(self.model, name, self._own[name])
        delattr(self.model, _ATTRIBUTE)

    def _remove_step(self):
        step = vars(self.model).get("train_step")
        if step is not None and step is not self._made_step:
            # The user has set another train step on the model since.
            self._own["train_step"] = step
        if step is not None:
            del self.model.train_step
        if "train_step" in self._own:
            self.model.train_step = self._own["train_step"]
        self._made_step = None

    # Replacements of the model's own methods.

    def make_train_function(self, plain, force=False):
        """Keras's `make_train_function`, with the train step of the stages."""
        self._close_ended_runs()
        if self.model.train_function is None:
            # After a `compile`: release the previous optimizer.
            self._stages_made = []
            self._remove_step()
        self._uninstall_if_idle()
        if vars(self.model).get(_ATTRIBUTE) is self:
            self._make(force)
        else:
            plain(force=force)

    def _make(self, force=False):
        model, stages = self.model, self.stages()
        for stage in stages:
            stage.check(model)
        is_ours = isinstance(model.train_function, TrainFunction) or not (stages or self.runs)
        is_ours = is_ours and vars(model).get("train_step") in (self._made_step, self._own.get("train_step"))
        if model.train_function is not None and is_ours and not force and stages == self._stages_made:
            return
        self._stages_made = stages
        self._remove_step()
        if stages:
            model.train_step = self._made_step = self._train_step(stages, model.train_step)
        keras_own = self._own.get("make_train_function") or functools.partial(type(model).make_train_function, model)
        keras_own(force=True)
        if stages or self.runs:
            model.train_function = TrainFunction(self, model.train_function)

    def _train_step(self, stages, plain):
        runs = [run for run in self.runs if run.stages]

        def train_step(*args):
            for run in runs:
                run.has_stepped = True
            return TrainingStep(self.model, stages, self.carried(), plain)(*args)

        return train_step

    def get_metrics_result_or_logs(self, plain, logs):
        """The logs of an epoch; Keras's method sees only its own, because it compares their names with the metrics."""
        if not isinstance(logs, dict):
            return plain(logs)
        ours = self._measured() | {name: logs[name] for name in self._logged() if name in logs}
        theirs = plain({name: value for name, value in logs.items() if name not in ours})
        return {**theirs, **{name: value for name, value in ours.items() if name in logs}}

    def flatten_metrics_in_order(self, plain, logs):
        """The list that `train_on_batch` returns: Keras's numbers only. `return_dict=True` shows all."""
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


class TrainFunction:
    """The train function of a model inside the wrappers of the runs; an exception in it ends the run."""

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
