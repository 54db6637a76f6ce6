"""What is wrapped, for the length of one `fit`, so that callbacks see its gradients; and how all of it is undone."""

import contextlib
import functools
import weakref

import keras
from keras import ops

from keras_lecture.callbacks.norms import decided, snapshot
from keras_lecture.callbacks.step import Step


class Attachment:
    """The observers of one `fit`, and what was wrapped for them."""

    def __init__(self, model, callback_list):
        self.model, self.optimizer = model, model.optimizer
        self.observers = []
        self.reached = False
        self._within = False
        self._metric_values = []
        self._seen = None
        self._taken = True
        self._plain = []
        # Keras does not tell callbacks that a `fit` ended by an exception. Its list of callbacks then goes with its
        # frame, and where a debugger or a notebook keeps that, the next `fit` finds and undoes what is left.
        self._finalizer = weakref.finalize(callback_list, self.undo) if callback_list is not None else None
        if self._finalizer:
            self._finalizer.atexit = False
        for owner, name in (
            (self.optimizer, "apply"),
            (self.optimizer, "stateless_apply"),
            (self.optimizer, "scale_loss"),
            (model, "compute_metrics"),
            (model, "train_step"),
            (model, "fit"),
        ):
            plain, own = getattr(owner, name), vars(owner).get(name)
            self._plain.append((owner, name, own))
            setattr(owner, name, functools.partial(getattr(self, f"_{name}"), plain))

    def add(self, observer):
        self.observers.append(observer)
        if self.model.built:
            self._prepare(observer, self.model.trainable_variables)
        self._forget_traces()
        # Keras has made the train function of this `fit` before it calls `on_train_begin`.
        self.model.make_train_function(force=True)

    def undo(self):
        """Leaves model and optimizer as they were; more than once does no harm."""
        for owner, name, own in self._plain:
            delattr(owner, name)
            if own is not None:
                setattr(owner, name, own)
        if self._plain:
            ours = {id(observer.metric) for observer in self.observers}
            self.model._metrics[:] = [metric for metric in self.model._metrics if id(metric) not in ours]
            self._forget_traces()
        self._plain = []
        if self._finalizer:
            self._finalizer.detach()

    def _forget_traces(self):
        self.model.train_function = self.model.test_function = None

    def _prepare(self, observer, variables):
        observer.prepare(variables)
        # A list that saving passes over, unlike an attribute.
        self.model._metrics.append(observer.metric)

    def _fit(self, plain, *args, **kwargs):
        self.undo()
        return self.model.fit(*args, **kwargs)

    def _train_step(self, plain, *args):
        # On JAX the step is a function of the state, in which our metrics' values are.
        values = args[0][3] if len(args) == 2 else []
        self._metric_values = list(zip(self.model.metrics_variables, values, strict=True)) if values else []
        self._taken = True
        try:
            refuses = any(observer.refuses for observer in self.observers)
            return self._or_nothing(plain, *args) if refuses else plain(*args)
        finally:
            self._metric_values = []
            self._seen = None

    def _or_nothing(self, plain, *args):
        """A step that leaves statistics and seeds alone, too, if it is not taken: the forward pass has moved them."""
        if len(args) == 2:
            logs, (weights, others, *rest) = plain(*args)
            if self._taken is not True:
                others = [ops.where(self._taken, new, old) for new, old in zip(others, args[0][1], strict=True)]
            return logs, (weights, others, *rest)
        others = self.model.non_trainable_variables
        old = snapshot([v.value for v in others], True) if others else []
        logs = plain(*args)
        taken = self._taken if self._taken is True else decided(self._taken)
        if taken is not True:
            for variable, value in zip(others, old, strict=True):
                variable.assign(ops.where(taken, variable.value, value))
        return logs

    def _compute_metrics(self, plain, *args, **kwargs):
        seen, self._seen = self._seen, None
        if seen is None:
            with _muted(self.observers):
                return plain(*args, **kwargs)
        self.reached = True
        for observer, values in seen:
            observer.metric.muted = False
            observer.metric.update_state(*values)
        return plain(*args, **kwargs)

    def _scale_loss(self, plain, loss):
        if not self._within:
            for observer in self.observers:
                loss = observer.differentiated(loss)
        return plain(loss)

    def _apply(self, plain, grads, trainable_variables=None):
        if self._within:
            plain(grads, trainable_variables)
            return
        variables = list(trainable_variables or self.model.trainable_variables)
        # On TensorFlow Keras builds what is not built yet in the first step.
        self.optimizer.build(variables) if not self.optimizer.built else None
        for observer in self.observers:
            if not any(observer.metric is metric for metric in self.model._metrics):
                self._prepare(observer, variables)
        step = self._before(grads, variables)
        gradients = step.outgoing()

        def take():
            plain(gradients, variables)

        with self._inside():
            take() if step.taken is True else ops.cond(step.taken, take, lambda: None)
        self._after(step)

    def _stateless_apply(self, plain, optimizer_variables, grads, trainable_variables):
        theirs = self.optimizer.variables, self.model.trainable_variables
        state = list(optimizer_variables), list(trainable_variables)
        with self._scope(theirs, state) as scope:
            step = self._before(grads, theirs[1])
            gradients = step.outgoing()
            state = [[scope.get_current_value(v) for v in group] for group in theirs]

        def take():
            return tuple(map(list, plain(state[0], gradients, state[1])))

        with self._inside():
            weights, slots = take() if step.taken is True else ops.cond(step.taken, take, lambda: (state[1], state[0]))
        with self._scope(theirs, (slots, weights)):
            self._after(step)
        return weights, slots

    @contextlib.contextmanager
    def _inside(self):
        """While Keras's own step runs, which may apply what is wrapped, too."""
        self._within = True
        try:
            yield
        finally:
            self._within = False

    def _scope(self, groups, state):
        pairs = [pair for group, values in zip(groups, state, strict=True) for pair in zip(group, values, strict=True)]
        return keras.StatelessScope(state_mapping=[*pairs, *self._metric_values])

    def _before(self, gradients, variables):
        with self._inside():
            step = Step(self.optimizer, gradients, variables)
        for observer in self.observers:
            observer.before(step)
        self._taken = step.taken
        return step

    def _after(self, step):
        self._seen = [(observer, observer.after(step)) for observer in self.observers]


def attachment_of(model):
    """The attachment of the `fit` that `model` is in, if there is one."""
    wrapped = vars(model).get("compute_metrics")
    owner = getattr(getattr(wrapped, "func", None), "__self__", None)
    return owner if isinstance(owner, Attachment) else None


@contextlib.contextmanager
def _muted(observers):
    metrics = [observer.metric for observer in observers if observer.metric is not None]
    states = [metric.muted for metric in metrics]
    for metric in metrics:
        metric.muted = True
    yield
    for metric, state in zip(metrics, states, strict=True):
        metric.muted = state
