"""One call of a model's train step, with the stages of the pipeline around and inside it."""

import contextlib

import keras

from keras_lecture import _backend
from keras_lecture._training import carried as carrying
from keras_lecture._training.condition import Condition
from keras_lecture._training.meeting import met
from keras_lecture._training.stage import Rank
from keras_lecture._training.step import Step, snapshot


class TrainingStep:
    """Calls `plain`, the model's own train step, and meets it at the optimizer, which is Keras's or the user's own.

    On JAX a train step is a function of the model's state, elsewhere it changes variables in place. `carried` are the
    variables of all readings; on JAX their values come and go with the state.
    """

    def __init__(self, model, stages, carried, plain):
        self.model, self.optimizer = model, model.optimizer
        self.stages, self.carried = stages, carried
        self._plain = plain
        self._search = next((stage for stage in stages if stage.rank == Rank.SEARCH), None)
        self._observers = [stage for stage in stages if stage.rank == Rank.OBSERVER]
        # Whether the optimizer was reached, and whether its step is taken.
        self.reached, self.taken = False, Condition(True)
        # The loss, where the train step has it at hand: in a search.
        self.loss = None
        self._values = None
        self._inside = False

    def __call__(self, *args):
        try:
            return self._pure(*args) if len(args) == 2 else self._in_place(*args)
        finally:
            for stage in self.stages:
                stage.reset()

    def _in_place(self, data):
        if any(stage.needs_build for stage in self.stages):
            # Keras 3.15 on TensorFlow leaves to the end of the first step what is not built yet.
            _backend.build_first(self.model, data)
        for stage in self.stages:
            stage.open(self)
        others = self.model.non_trainable_variables if self._refuses() else []
        old = snapshot([v.value for v in others], True) if others else []
        try:
            with self._met():
                logs = self._own(data)
            if self._values is not None:
                # A search's step is pure on every backend.
                for variable, value in zip(self.carried, self._values, strict=True):
                    variable.assign(value)
        finally:
            for stage in reversed(self.stages):
                stage.close(self)
        self._speak_up()
        if not self.taken.is_true:
            for variable, value in zip(others, old, strict=True):
                variable.assign(self.taken.where(variable.value, value))
        return self._logs(logs)

    def _pure(self, state, data):
        weights, others, slots, metrics = state
        others, self._values, put_back = carrying.taken_out(self.model, self.carried, others)
        weights, slots = self._moved("open", weights, slots)
        with carrying.hidden(self.model), self._met():
            logs, (weights, after, slots, metrics) = self._own((weights, others, slots, metrics), data)
        self._speak_up()
        weights, slots = self._moved("close", weights, slots)
        if self._refuses() and not self.taken.is_true:
            after = [self.taken.where(new, old) for new, old in zip(after, others, strict=True)]
        with self._scope((), ()):
            logs = self._logs(logs)
        return logs, (weights, put_back(after, self._values), slots, metrics)

    def _own(self, *args):
        """The train step itself: a search's, or the model's."""
        return self._plain(*args) if self._search is None else self._search.train_step(self, *args)

    def _moved(self, moment, weights, slots):
        """Weights and optimizer variables after what the stages do to them at that moment."""
        stages = self.stages if moment == "open" else reversed(self.stages)
        groups = self.model.trainable_variables, self.optimizer.variables
        with self._scope(groups, (weights, slots)) as scope:
            for stage in stages:
                getattr(stage, moment)(self)
        return [[scope.get_current_value(v) for v in group] for group in groups]

    def weights_of(self, variables):
        """The weights that the step starts from, which a stage may have moved for the gradients."""
        for stage in self.stages:
            weights = stage.weights_of(variables)
            if weights is not None:
                return weights
        return [v.value for v in variables]

    # What the optimizer is asked while the train step runs.

    def _met(self):
        """The optimizer's methods lead through the stages, for the length of the block."""
        if not isinstance(self.optimizer, keras.optimizers.Optimizer):
            return contextlib.nullcontext()
        return met(self.optimizer, self)

    def scale_loss(self, plain, loss):
        if not self._inside:
            for stage in self._observers:
                loss = stage.differentiated(loss)
        return plain(loss)

    def apply(self, plain, grads, trainable_variables=None):
        if self._inside:
            return plain(grads, trainable_variables)
        known = self.optimizer._trainable_variables if self.optimizer.built else self.model.trainable_variables
        variables = list(trainable_variables or known)
        # On TensorFlow Keras builds what is not built yet in the first step.
        if not self.optimizer.built:
            self.optimizer.build(variables)
        for stage in self._observers:
            if stage.readings is None:
                stage.prepare(self.model.trainable_variables)
        step, memos = self._before(grads, variables)
        gradients = step.outgoing()
        with self._within():
            if step.taken.is_true:
                plain(gradients, variables)
            elif not step.taken.is_false:
                _backend.only_if(step.taken.value, lambda: plain(gradients, variables))
        self._after(step, memos)
        return None

    def stateless_apply(self, plain, optimizer_variables, grads, trainable_variables):
        if self._inside:
            return plain(optimizer_variables, grads, trainable_variables)
        variables = self.optimizer._trainable_variables
        if len(variables) != len(trainable_variables):
            # Keras says what is wrong: layers were frozen or thawed without a new `compile`.
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
        """While Keras's own step runs, which may call itself."""
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    @contextlib.contextmanager
    def _scope(self, groups, state):
        """The variables with these values, and those of the readings with theirs, which may change in it."""
        if self._values is None:
            self._values = [v.value for v in self.carried]
        pairs = [pair for group, values in zip(groups, state, strict=True) for pair in zip(group, values, strict=True)]
        pairs += zip(self.carried, self._values, strict=True)
        with keras.StatelessScope(state_mapping=pairs) as scope:
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

    # What comes of the step.

    def _refuses(self):
        return any(stage.refuses for stage in self._observers)

    def _speak_up(self):
        if not self.reached:
            for stage in self._observers:
                stage.unseen("its `train_step` does not call `model.optimizer`")

    def _logs(self, logs):
        """The logs of the train step, and what the stages have measured."""
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
