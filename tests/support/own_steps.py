"""Models with a custom `train_step` or custom `metrics`, in the style of Keras's guides, for the current backend."""

import keras
from support.harness import BACKEND


def _layers(model):
    model.base = keras.layers.Dense(3, activation="tanh", name="base")
    model.head = keras.layers.Dense(1, name="head")


if BACKEND == "torch":
    import torch

    def _trained(model, x, y):
        """Takes the step of Keras's PyTorch guide; returns the loss and the predictions."""
        y_pred = model(x, training=True)
        loss = model.compute_loss(y=y, y_pred=y_pred)
        model.zero_grad()
        loss.backward()
        gradients = [v.value.grad for v in model.trainable_weights]
        with torch.no_grad():
            model.optimizer.apply(gradients, model.trainable_weights)
        return loss, y_pred


if BACKEND == "tensorflow":
    import tensorflow as tf

    def _trained(model, x, y):
        """Takes the step of Keras's TensorFlow guide; returns the loss and the predictions."""
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = model.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        return loss, y_pred


if BACKEND == "jax":
    import jax

    def _trained(model, state, x, y):
        """Takes the step of Keras's JAX guide; returns the loss, the predictions and the state without the metrics."""
        trainable, others, slots, _ = state

        def loss_of(trainable, others):
            y_pred, others = model.stateless_call(trainable, others, x, training=True)
            return model.compute_loss(x, y, y_pred), (y_pred, others)

        (loss, (y_pred, others)), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable, others)
        trainable, slots = model.optimizer.stateless_apply(slots, gradients, trainable)
        return loss, y_pred, (trainable, others, slots)


class MetricsLoop(keras.Model):
    """The loop over `self.metrics` of Keras's guide "Customizing what happens in `fit()`"."""

    def __init__(self):
        super().__init__()
        _layers(self)

    def call(self, x, training=False):
        return self.head(self.base(x))

    def train_step(self, *args):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(args[-1])
        if BACKEND != "jax":
            loss, y_pred = _trained(self, x, y)
            for metric in self.metrics:
                metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, y_pred)
            return {metric.name: metric.result() for metric in self.metrics}
        loss, y_pred, state = _trained(self, args[0], x, y)
        logs, variables = {}, []
        for metric in self.metrics:
            mine = args[0][3][len(variables) : len(variables) + len(metric.variables)]
            measured = (loss,) if metric.name == "loss" else (y, y_pred)
            mine = metric.stateless_update_state(mine, *measured)
            logs[metric.name] = metric.stateless_result(mine)
            variables += mine
        return logs, (*state, variables)


class OwnTracker(keras.Model):
    """The style of Keras's VAE example: its own tracker in `metrics`, no `compute_metrics`."""

    def __init__(self):
        super().__init__()
        _layers(self)
        self.tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.tracker]

    def call(self, x, training=False):
        return self.head(self.base(x))

    def train_step(self, *args):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(args[-1])
        if BACKEND != "jax":
            loss, _ = _trained(self, x, y)
            self.tracker.update_state(loss)
            return {"loss": self.tracker.result()}
        loss, _, state = _trained(self, args[0], x, y)
        variables = self.tracker.stateless_update_state(args[0][3], loss)
        return {"loss": self.tracker.stateless_result(variables)}, (*state, variables)


class OwnMetrics(keras.Model):
    """Keras's own `train_step`, and `metrics` with the loss tracker and a single metric."""

    def __init__(self):
        super().__init__()
        _layers(self)
        self.own = keras.metrics.Mean(name="own")

    @property
    def metrics(self):
        return [self._loss_tracker, self.own] if self.compiled else [self.own]

    def call(self, x, training=False):
        return self.head(self.base(x))


class TwoOptimizers(MetricsLoop):
    """As in Keras's GAN example, the model's own optimizer takes the step; `model.optimizer` is never used."""

    def train_step(self, *args):
        compiled, self.optimizer = self.optimizer, self.own_optimizer
        try:
            return super().train_step(*args)
        finally:
            self.optimizer = compiled
