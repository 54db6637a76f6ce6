"""One call of a model's train step, with the stages of the pipeline around and inside it."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras

from keras_lecture import _backend
from keras_lecture._core.types import Tensor
from keras_lecture._training import carried as carrying
from keras_lecture._training.condition import Condition
from keras_lecture._training.interception import intercepted
from keras_lecture._training.stage import Rank, Stage
from keras_lecture._training.step import Step, over_replicas, per_replica, snapshot


class TrainingStep:
    """Calls `plain`, Keras's or the user's own train step, and intercepts the optimizer's methods inside it.

    On JAX a train step is a pure function of the model's state; elsewhere it changes variables in place. `carried` are
    the variables of all `Readings`; on JAX their values are part of the state.
    """

    def __init__(
        self, model: keras.Model, stages: list[Stage], carried: list[keras.Variable], plain: Callable[..., Any]
    ) -> None:
        self.model = model
        self.optimizer: keras.optimizers.Optimizer = model.optimizer
        self.stages: list[Stage] = stages
        self.carried: list[keras.Variable] = carried
        self._plain = plain
        self._search = next((stage for stage in stages if stage.rank == Rank.SEARCH), None)
        self._observers = [stage for stage in stages if stage.rank == Rank.OBSERVER]
        # Whether the train step has called the optimizer, and whether the optimizer step is taken.
        self.reached: bool = False
        self.taken: Condition = Condition(True)
        # The loss, if the train step has computed it: in a search.
        self.loss: Tensor | None = None
        # The values of the carried variables in a pure step.
        self._values = None
        # Whether Keras's own optimizer method is running, which may call itself.
        self._inside = False

    def __call__(self, *args: Any) -> Any:
        try:
            return self._pure(*args) if len(args) == 2 else self._in_place(*args)
        finally:
            for stage in self.stages:
                stage.reset()

    def _in_place(self, data):
        if any(stage.needs_build for stage in self.stages):
            # Keras 3.15 on TensorFlow builds an unbuilt model only at the end of the first step.
            _backend.build_first(self.model, data)
        for stage in self.stages:
            stage.open(self)
        others = self.model.non_trainable_variables if self._may_skip() else []
        old = snapshot([v.value for v in others], True) if others else []
        try:
            with self._intercepted():
                logs = self._own(data)
            if self._values is not None:
                # A search's step is pure on every backend.
                for variable, value in zip(self.carried, self._values, strict=True):
                    variable.assign(value)
        finally:
            for stage in reversed(self.stages):
                stage.close(self)
        self._report_unseen()
        if not self.taken.is_true:
            for variable, value in zip(others, old, strict=True):
                variable.assign(self.taken.where(variable.value, value))
        return self._logs(logs)

    def _pure(self, state, data):
        weights, others, slots, metrics = state
        others, self._values, merge = carrying.split(self.model, self.carried, others)
        weights, slots = self._moved("open", weights, slots)
        with carrying.hidden(self.model), self._intercepted():
            logs, (weights, after, slots, metrics) = self._own((weights, others, slots, metrics), data)
        self._report_unseen()
        weights, slots = self._moved("close", weights, slots)
        if self._may_skip() and not self.taken.is_true:
            after = [self.taken.where(new, old) for new, old in zip(after, others, strict=True)]
        with self._scope((), ()):
            logs = self._logs(logs)
        return logs, (weights, merge(after, self._values), slots, metrics)

    def _own(self, *args):
        """The search's train step, or the model's."""
        return self._plain(*args) if self._search is None else self._search.train_step(self, *args)

    def _moved(self, moment, weights, slots):
        """The weights and optimizer variables after the stages' `open` or `close`, whichever `moment` names."""
        stages = self.stages if moment == "open" else reversed(self.stages)
        groups = self.model.trainable_variables, self.optimizer.variables
        with self._scope(groups, (weights, slots)) as scope:
            for stage in stages:
                getattr(stage, moment)(self)
        return [[scope.get_current_value(v) for v in group] for group in groups]

    def weights_of(self, variables: list[keras.Variable]) -> list[Tensor]:
        """The weights from which the step starts; a stage may have moved the variables for the gradients."""
        for stage in self.stages:
            weights = stage.weights_of(variables)
            if weights is not None:
                return weights
        return [v.value for v in variables]

    # Replacements of the optimizer's methods while the train step runs.

    def _intercepted(self):
        """Redirects the optimizer's methods to the ones below inside the block."""
        if not isinstance(self.optimizer, keras.optimizers.Optimizer):
            return contextlib.nullcontext()
        return intercepted(self.optimizer, self)

    def scale_loss(self, plain: Callable[..., Tensor], loss: Tensor) -> Tensor:
        if not self._inside:
            for stage in self._observers:
                loss = stage.differentiated(loss)
        return plain(loss)

    def apply(
        self,
        plain: Callable[..., None],
        grads: list[Tensor | None],
        trainable_variables: list[keras.Variable] | None = None,
    ) -> None:
        if self._inside:
            return plain(grads, trainable_variables)
        known = self.optimizer._trainable_variables if self.optimizer.built else self.model.trainable_variables
        variables = list(trainable_variables or known)
        # On TensorFlow Keras builds an unbuilt optimizer in the first step.
        if not self.optimizer.built:
            self.optimizer.build(variables)
        for stage in self._observers:
            if stage.readings is None:
                stage.prepare(self.model.trainable_variables)
        if self._observers:
            grads = over_replicas(grads)
        step, memos = self._before(grads, variables)
        gradients = step.outgoing()

        def take():
            # Divided here, which gives each replica tensors of its own: TensorFlow takes a tensor that all of them
            # share for one that is summed already.
            plain(per_replica(gradients) if self._observers else gradients, variables)

        with self._within():
            if step.taken.is_true:
                take()
            elif not step.taken.is_false:
                _backend.only_if(step.taken.value, take)
        self._after(step, memos)
        return None

    def stateless_apply(
        self,
        plain: Callable[..., tuple[list[Tensor], list[Tensor]]],
        optimizer_variables: list[Tensor],
        grads: list[Tensor | None],
        trainable_variables: list[Tensor],
    ) -> tuple[list[Tensor], list[Tensor]]:
        if self._inside:
            return plain(optimizer_variables, grads, trainable_variables)
        variables = self.optimizer._trainable_variables
        if len(variables) != len(trainable_variables):
            # Keras raises the error: layers were frozen or unfrozen without a new `compile`.
            return plain(optimizer_variables, grads, trainable_variables)
        groups = self.optimizer.variables, variables
        with self._scope(groups, (optimizer_variables, trainable_variables)) as scope:
            step, memos = self._before(grads, variables)
            gradients = step.outgoing()
            slots, weights = ([scope.get_current_value(v) for v in group] for group in groups)

        def take():
            return tuple(map(list, plain(slots, gradients, weights)))

        with self._within():
            weights, slots = step.taken.choose(take, lambda: (weights, slots))
        with self._scope(groups, (slots, weights)):
            self._after(step, memos)
        return weights, slots

    @contextlib.contextmanager
    def _within(self):
        """Marks that Keras's own optimizer method is running."""
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    @contextlib.contextmanager
    def _scope(self, groups, state):
        """A stateless scope with these values and those of the carried variables, which are updated after it."""
        if self._values is None:
            self._values = [v.value for v in self.carried]
        with _backend.scope((*groups, self.carried), (*state, self._values)) as scope:
            yield scope
        self._values = [scope.get_current_value(v) for v in self.carried]

    def _before(self, gradients, variables):
        once = [stage.title for stage in self.stages if stage.once]
        if self.reached and once:
            raise ValueError(
                f"{once[0]}: the train step of {self.model.name!r} applies its optimizer more than once. Apply it "
                f"once, to the gradients of all weights, or train without {once[0]}."
            )
        self.reached = True
        for stage in self._observers:
            stage.has_seen = True
        with self._within():
            step = Step(self.optimizer, gradients, variables, self.weights_of, self.loss)
        memos = [stage.before(step) for stage in self._observers]
        self.taken = self.taken & step.taken
        return step, memos

    def _after(self, step, memos):
        for stage, memo in zip(self._observers, memos, strict=True):
            measurements = stage.after(step, memo)
            if measurements is not None:
                stage.readings.update_state(*measurements)

    def _may_skip(self):
        return any(stage.refuses for stage in self._observers)

    def _report_unseen(self):
        if not self.reached:
            for stage in self._observers:
                stage.unseen("its `train_step` does not call `model.optimizer`")

    def _logs(self, logs):
        """The logs of the train step and the measurements of the stages."""
        measured, owners = {}, dict.fromkeys(logs, "the train step")
        for stage in self._observers:
            for name, value in (stage.readings.result() if stage.has_seen else {}).items():
                if name in owners:
                    raise ValueError(
                        f"{type(stage).__name__} and {owners[name]} would both log {name!r}. Leave one of them out, or "
                        "rename the metric."
                    )
                measured[name], owners[name] = value, type(stage).__name__
        return {**logs, **measured} if measured else logs
