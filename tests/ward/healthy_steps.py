"""Healthy subclassed models: losses, layers and train steps of their own, distillation."""

import keras
import numpy as np
from keras import layers, ops
from ward.healthy_data import (
    accuracy,
    clusters,
    crescents,
    digits,
    explained,
    program,
    sequential,
)
from ward.ward import Run

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "torch":
    import torch
else:
    import jax

ADAM, SGD = keras.optimizers.Adam, keras.optimizers.SGD
SPARSE = "sparse_categorical_crossentropy"


class Mixer(keras.Model):
    """A subclassed model with layers in a list and a branch that is used in training alone."""

    def __init__(self, units, classes):
        super().__init__()
        self.blocks = [layers.Dense(units, activation="relu") for _ in range(2)]
        self.drop, self.head = layers.Dropout(0.2), layers.Dense(classes, activation="softmax")

    def call(self, x, training=False):
        for block in self.blocks:
            x = block(x)
        return self.head(self.drop(x, training=training))


@program("frozen-layer", family="subclassed")
def subclassed_with_a_list_of_layers(seed):
    train, validation = digits(seed)
    model = Mixer(48, 10)
    model.compile(ADAM(3e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))


class Polynomial(layers.Layer):
    """Weights of its own: a scale for each power of the input."""

    def build(self, shape):
        self.scales = self.add_weight(shape=(4,), initializer="zeros", name="scales")

    def call(self, x):
        return sum(self.scales[power] * x**power for power in range(4))


@program("symmetric-units", family="subclassed", held_out=True)
def a_layer_of_ones_own_that_starts_at_zero(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (800, 1)).astype("float32")
    y = (1 - 2 * x + 3 * x**3 + 0.1 * rng.normal(size=x.shape)).astype("float32")
    model = sequential((1,), Polynomial())
    model.compile(ADAM(5e-2), "mse")
    validation = x[600:], y[600:]
    return Run(model, x[:600], y[:600], validation, {"epochs": 20, "batch_size": 32}, explained(*validation))


class Pulled(keras.Model):
    """`compute_loss` of its own: the given loss and a penalty on the size of the scores."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + 1e-3 * ops.mean(ops.square(y_pred))


@program("too-much-regularization", family="subclassed")
def compute_loss_with_a_penalty(seed):
    train, validation = digits(seed)
    inputs = keras.Input((64,))
    model = Pulled(inputs, layers.Dense(10)(layers.Dense(64, activation="relu")(inputs)))
    model.compile(ADAM(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))


class Guided(keras.Model):
    """The train step of Keras's guide "Customizing what happens in fit()", in the words of each backend."""

    if BACKEND == "jax":

        def _objective(self, trainable, rest, x, y):
            y_pred, rest = self.stateless_call(trainable, rest, x, training=True)
            return self.compute_loss(x, y, y_pred), (y_pred, rest)

        def train_step(self, state, data):
            trainable, rest, slots, metrics = state
            x, y = data
            (loss, (y_pred, rest)), gradients = jax.value_and_grad(self._objective, has_aux=True)(trainable, rest, x, y)
            trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
            logs, updated = {"loss": loss}, []
            for metric in self.metrics:
                own = metrics[: len(metric.variables)]
                metrics = metrics[len(metric.variables) :]
                own = metric.stateless_update_state(own, *((loss,) if metric.name == "loss" else (y, y_pred)))
                logs[metric.name] = metric.stateless_result(own)
                updated += own
            return logs, (trainable, rest, slots, updated)

    elif BACKEND == "torch":

        def train_step(self, data):
            x, y = data
            self.zero_grad()
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
            loss.backward()
            weights = list(self.trainable_weights)
            with torch.no_grad():
                self.optimizer.apply([weight.value.grad for weight in weights], weights)
            return self._logs(y, y_pred, loss)

    else:

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            weights = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return self._logs(y, y_pred, loss)

    def _logs(self, y, y_pred, loss):
        for metric in self.metrics:
            metric.update_state(*((loss,) if metric.name == "loss" else (y, y_pred)))
        return {metric.name: metric.result() for metric in self.metrics}


@program("frozen-layer", family="subclassed")
def train_step_of_the_guide(seed):
    train, validation = crescents(seed)
    inputs = keras.Input((2,))
    model = Guided(inputs, layers.Dense(1, activation="sigmoid")(layers.Dense(32, activation="relu")(inputs)))
    model.compile(ADAM(1e-2), "binary_crossentropy")
    return Run(model, *train, validation, {"epochs": 15, "batch_size": 32}, accuracy(*validation))


class Teacher(keras.Model):
    """Distillation: a frozen teacher inside the model, whose probabilities are half of the target."""

    def __init__(self, teacher, student):
        super().__init__()
        self.teacher, self.student = teacher, student
        self.teacher.trainable = False

    def call(self, x, training=False):
        return self.student(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        soft = ops.stop_gradient(self.teacher(x, training=False))
        own = keras.losses.KLDivergence()(soft, y_pred)
        return 0.5 * super().compute_loss(x, y, y_pred, sample_weight, training) + 0.5 * own


@program("frozen-layer", family="subclassed", held_out=True)
def distillation(seed):
    (x, y), (x_val, y_val) = clusters(seed, samples=1200, distance=5.0)
    teacher = sequential((12,), layers.Dense(48, activation="relu"), layers.Dense(3, activation="softmax"))
    teacher.compile(ADAM(5e-3), SPARSE)
    teacher.fit(x, y, epochs=5, batch_size=32, verbose=0)
    student = sequential((12,), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax"))
    model = Teacher(teacher, student)
    model.compile(ADAM(1e-2), SPARSE, metrics=["accuracy"])
    return Run(model, x, y, (x_val, y_val), {"epochs": 10, "batch_size": 32}, accuracy(x_val, y_val))
