"""The base of the callbacks that see, and may change, the gradients of a `fit`."""

import warnings
import weakref

import keras

from keras_lecture.callbacks.attachment import Attachment, attachment_of
from keras_lecture.callbacks.running_fit import callback_list
from keras_lecture.callbacks.step import Step


class Observer(keras.callbacks.Callback):
    """A callback that sees every step of the optimizer; a subclass writes `metric_for`, `before` and `after`.

    `before` and `after` are traced with the train step and compiled with it. Several observers of one `fit` act in
    the order of its `callbacks`, so that each sees the gradients as those before it left them. Where the train step
    cannot be seen, a warning says so once and training goes on.
    """

    # The metric of the latest model, and a weak reference to that model: a further `fit` of it goes on with the state.
    metric = None
    # Whether `before` may leave a step out; then statistics and seeds must be kept, too.
    refuses = False
    _known_model = None
    _attachment = None

    def metric_for(self, variables):
        """A new `StepMetric` for a model with these trainable variables."""
        raise NotImplementedError(f"{type(self).__name__} must define `metric_for`.")

    def differentiated(self, loss):
        """The loss to take the gradient of, in the place of the loss of the batch, which is logged."""
        return loss

    def before(self, step: Step):
        """Looks at a step before the weights move; may change `gradients` and `taken`."""

    def after(self, step: Step) -> tuple:
        """What `metric.update_state` takes, from a step after the weights have moved."""
        raise NotImplementedError(f"{type(self).__name__} must define `after`.")

    def prepare(self, variables):
        """Makes the metric for the model, unless it has one."""
        if self._known_model is None or self._known_model() is not self._attachment.model:
            self._known_model = weakref.ref(self._attachment.model)
            self.metric = self.metric_for(variables)
        self.metric.muted = False
        self.metric.reset_state()
        self.metric.muted = True

    def on_train_begin(self, logs=None):
        model = self.model
        reason = _obstacle(model)
        if reason:
            self._warn(reason)
            return
        self._attachment = attachment_of(model) or Attachment(model, callback_list())
        self._attachment.add(self)

    def on_epoch_end(self, epoch, logs=None):
        if self._attachment and not self._attachment.reached:
            self._warn("its `train_step` does not call the optimizer and then `compute_metrics`")
            self._attachment.undo()
            self._attachment = None
            self._model.make_train_function(force=True)

    def on_test_begin(self, logs=None):
        if self.metric is not None:
            self.metric.muted = True

    def on_test_end(self, logs=None):
        if self.metric is not None:
            self.metric.muted = not (self._attachment and self._attachment.reached)

    def on_train_end(self, logs=None):
        if self._attachment:
            self._attachment.undo()
            self._attachment = None

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def _warn(self, reason):
        name = type(self).__name__
        warnings.warn(f"{name}: the gradients of {self._model.name!r} cannot be seen: {reason}.", stacklevel=2)


def _obstacle(model):
    """Why the gradients of `model` cannot be seen, or `None`."""
    if not isinstance(getattr(model, "optimizer", None), keras.optimizers.Optimizer):
        return "it has no optimizer of Keras"
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        return "under `tf.distribute` each replica has gradients of its own"
    return None
