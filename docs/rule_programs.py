"""Small programs, each with one fault that no program of the ward has, for the pages of the rules.

Each returns a compiled model, inputs, targets and the arguments of `fit`, which `show_rules.py` runs under the doctor,
without these arguments under the audit, or the facts of a check that `fit` does not feed.
"""

import keras
import numpy as np
from keras import layers, ops

from keras_lecture.diagnosis._facts.watch import Watch

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(256, 6)).astype("float32")
IMAGES = GENERATOR.normal(size=(256, 8, 8, 1)).astype("float32")
Y = (X[:, :1] + X[:, 1:2] > 0).astype("float32")
PROGRAMS = {}


def shows(rule):
    """Enters a program for the page of a rule."""

    def enter(program):
        PROGRAMS[rule] = program
        return program

    return enter


def sequential(*hidden, shape=(6,), optimizer="adam"):
    """Binary classification by the layers and one unit with a sigmoid."""
    model = keras.Sequential([keras.Input(shape), *hidden, layers.Dense(1, activation="sigmoid", name="output")])
    model.compile(optimizer, "binary_crossentropy")
    return model


def dense():
    return layers.Dense(16, activation="relu", name="hidden")


class Random(layers.Layer):
    """A layer with a seed generator and a rate."""

    def __init__(self, **options):
        super().__init__(**options)
        self.rate, self.seed_generator = 0.5, keras.random.SeedGenerator(0)


class Classifier(keras.Model):
    """Two layers, written as a class."""

    def __init__(self):
        super().__init__()
        self.hidden, self.output_layer = dense(), layers.Dense(1, activation="sigmoid", name="output")

    def call(self, x):
        return self.output_layer(self.hidden(x))


def classifier(kind=Classifier, optimizer="adam"):
    model = kind()
    model(X[:1])
    model.compile(optimizer, "binary_crossentropy")
    return model


@shows("inactive-dropout")
def own_dropout_without_effect():
    """An own dropout layer that returns its input in both modes."""

    class OwnDropout(Random):
        def call(self, x, training=False):
            return x

    return sequential(dense(), OwnDropout()), X, Y, {}


@shows("dropout-in-inference")
def own_dropout_in_both_modes():
    """An own dropout layer that does not look at `training`."""

    class OwnDropout(Random):
        def call(self, x):
            return keras.random.dropout(x, self.rate, seed=self.seed_generator)

    return sequential(dense(), OwnDropout()), X, Y, {}


@shows("repeated-random-numbers")
def dropout_with_a_fixed_seed():
    """An own dropout layer that passes an integer as the seed."""

    class OwnDropout(Random):
        def call(self, x, training=False):
            return keras.random.dropout(x, self.rate, seed=1) if training else x

    return sequential(dense(), OwnDropout()), X, Y, {}


@shows("random-inference")
def noise_in_both_modes():
    """A layer that adds noise in inference mode, too."""

    class Sampling(Random):
        def call(self, x):
            return x + keras.random.normal(ops.shape(x), seed=self.seed_generator)

    return sequential(dense(), Sampling()), X, Y, {}


@shows("augmentation-in-inference")
def shifts_in_both_modes():
    """An own augmentation of images that does not look at `training`."""

    class RandomShift(Random):
        def call(self, x):
            return x + keras.random.uniform((1, 1, 1, 1), seed=self.seed_generator)

    return sequential(RandomShift(), layers.Flatten(), shape=(8, 8, 1)), IMAGES, Y, {}


@shows("compiled-random-numbers")
def noise_from_numpy():
    """A layer that scales its input by a number from NumPy's generator."""

    class Scaled(layers.Layer):
        def call(self, x, training=False):
            return x * float(np.random.uniform(0.5, 1.5)) if training else x

    return sequential(dense(), Scaled()), X, Y, {}


@shows("unrepeatable-loss")
def noise_from_an_own_generator():
    """A layer that draws from a generator of its own, which no seed of Keras sets."""

    class Scaled(layers.Layer):
        def call(self, x):
            return x * float(GENERATOR.uniform(0.5, 1.5))

    return sequential(dense(), Scaled()), X, Y, {}


@shows("overridden-training-argument")
def dropout_called_with_training():
    """A functional model that asks for dropout in every mode by `training=True`."""
    inputs = keras.Input((6,))
    hidden = layers.Dropout(0.5, name="dropout")(dense()(inputs), training=True)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))
    model.compile("adam", "binary_crossentropy")
    return model, X, Y, {}


@shows("random-layers-not-training")
def train_step_in_inference_mode():
    """A model that calls its layers in inference mode once `fit` has begun, as an own `train_step` may."""

    class Inference(Classifier):
        def __init__(self):
            super().__init__()
            self.dropout, self.is_fitting = layers.Dropout(0.5, seed=1), False

        def call(self, x, training=False):
            return self.output_layer(self.dropout(self.hidden(x), training=training and not self.is_fitting))

    model = classifier(Inference)

    class Begin(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            model.is_fitting = True

    return model, X, Y, {"callbacks": [Begin()]}


@shows("batch-norm-still")
def normalization_with_momentum_one():
    """Batch normalization with `momentum=1`, written for the share of the new statistics."""
    return sequential(dense(), layers.BatchNormalization(momentum=1.0, name="norm")), X, Y, {}


@shows("evaluation-changes-weights")
def statistics_that_always_move():
    """A block that calls its batch normalization with `training=True` in every mode."""

    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.norm = layers.BatchNormalization(name="norm")

        def call(self, x):
            return self.norm(x, training=True)

    return sequential(dense(), Block()), X, Y, {"validation_data": (X[:64], Y[:64])}


@shows("ignored-sample-weights")
def own_loss_without_weights():
    """A model whose `compute_loss` does not use the sample weights that `fit` got."""

    class OwnLoss(Classifier):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.mean(ops.square(y - y_pred))

    return classifier(OwnLoss), X, Y, {"sample_weight": GENERATOR.uniform(0.1, 2, len(X)).astype("float32")}


@shows("ignored-loss-weights")
def own_loss_of_two_outputs():
    """A model of two outputs whose `compute_loss` adds both losses without their weights."""

    class TwoOutputs(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(1), layers.Dense(1)

        def call(self, x):
            return [self.first(x), self.second(x)]

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return sum(ops.mean(ops.square(a - b)) for a, b in zip(y, y_pred, strict=True))

    model = TwoOutputs()
    model(X[:1])
    model.compile("adam", ["mse", "mse"], loss_weights=[1.0, 0.1])
    return model, X, [Y, 1 - Y], {}


@shows("optimizer-variables")
def base_unfrozen_after_training():
    """A layer that is unfrozen after a first training, without a new `compile`."""
    model = sequential(dense())
    model.layers[0].trainable = False
    model.compile("adam", "binary_crossentropy")
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = True
    return model, X, Y, {}


@shows("trainable-changed")
def base_frozen_after_training():
    """A layer that is frozen after a first training, without a new `compile`."""
    model = sequential(dense())
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = False
    return model, X, Y, {}


@shows("frozen-weight-moves")
def gain_assigned_although_frozen():
    """An own layer that assigns its gain in training, and is frozen."""

    class Gain(layers.Layer):
        def build(self, shape):
            self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")

        def call(self, x, training=False):
            if training:
                self.gain.assign(self.gain * 0.99)
            return x * self.gain

    gain = Gain()
    gain.trainable = False
    return sequential(dense(), gain), X, Y, {}


@shows("untracked-weights")
def layer_inside_another_object():
    """A layer that is an attribute of a helper object, which Keras does not look into."""

    class Helper:
        def __init__(self):
            self.layer = layers.Dense(6, name="helper")
            self.layer.build((None, 6))

    class Hidden(Classifier):
        def __init__(self):
            super().__init__()
            self.helper = Helper()

        def call(self, x):
            return super().call(self.helper.layer(x))

    return classifier(Hidden), X, Y, {}


class Skips(keras.optimizers.SGD):
    """Leaves the weights of the output as they are."""

    def update_step(self, gradient, variable, learning_rate):
        known = [v for v in self._trainable_variables if v is variable or v.value is variable]
        if "output" not in known[0].path:
            super().update_step(gradient, variable, learning_rate)


@shows("weight-not-moving")
def optimizer_that_skips_a_layer():
    """An own optimizer that passes over the last layer."""
    return sequential(dense(), optimizer=Skips(0.1)), X, Y, {}


@shows("update-below-rounding")
def small_steps_in_bfloat16():
    """A hidden layer with weights in bfloat16, and gradient descent with a rate of 1e-4 and momentum."""
    hidden = layers.Dense(16, activation="relu", dtype="bfloat16", name="hidden")
    return sequential(hidden, optimizer=keras.optimizers.SGD(1e-4, momentum=0.9)), X, Y, {}


class Uncounted(keras.optimizers.SGD):
    """Takes steps without counting them."""

    def apply(self, grads, trainable_variables=None):
        for gradient, weight in zip(grads, trainable_variables or self._trainable_variables, strict=True):
            weight.assign(weight - 0.1 * gradient)


@shows("iterations-not-advancing")
def optimizer_that_does_not_count():
    """An own optimizer whose `apply` does not call the inherited one."""
    return sequential(dense(), optimizer=Uncounted(0.1)), X, Y, {}


@shows("repeated-batch-order")
def rows_shuffled_and_then_cached():
    """A `tf.data` set whose rows are shuffled before `cache`, which keeps the order of the first epoch."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(256).cache().batch(32)
    return sequential(dense()), data, None, {"epochs": 12, "shuffle": False}


@shows("monitor-mode")
def rate_cut_while_the_loss_falls():
    """`ReduceLROnPlateau` on the loss with `mode="max"`."""
    callback = keras.callbacks.ReduceLROnPlateau(monitor="loss", mode="max", patience=1)
    return sequential(dense()), X, Y, {"epochs": 6, "callbacks": [callback]}


@shows("samples-not-seen")
def last_rows_left_out():
    """Epochs of 224 of 256 rows: the check by hand."""
    watch = Watch(sequential(dense()))
    watch.samples(224, 256)
    return watch.result()


@shows("batch-norm-batch-of-one")
def batches_of_one():
    """Batch normalization behind a dense layer, and `batch_size=1`."""
    return sequential(dense(), layers.BatchNormalization(name="norm")), X, Y, {"batch_size": 1}


@shows("bottleneck")
def one_unit_between_wide_layers():
    """A forgotten digit: 1 unit in place of 16 between two layers of 16."""
    narrow = layers.Dense(1, activation="relu", name="narrow")
    return sequential(dense(), narrow, layers.Dense(16, activation="relu", name="wide")), X, Y, {}


@shows("input-dtype")
def token_beyond_the_embedding():
    """Token numbers up to 20 for an embedding of 20 rows, which has the numbers 0 to 19."""
    tokens = GENERATOR.integers(1, 21, (256, 6)).astype("int32")
    tokens[0, 0] = 20
    embedding = [layers.Embedding(20, 8, name="embedding"), layers.GlobalAveragePooling1D()]
    return sequential(*embedding), tokens, Y, {}


@shows("misplaced-dropout")
def dropout_behind_the_output():
    """Dropout as the last layer of a classifier."""
    model = keras.Sequential([keras.Input((6,)), dense(), layers.Dense(1, activation="sigmoid"), layers.Dropout(0.5)])
    model.compile("adam", "binary_crossentropy")
    return model, X, Y, {}


@shows("no-validation")
def training_data_alone():
    """`fit` without validation data."""
    return sequential(dense()), X, Y, {}


@shows("normalized-output")
def normalization_as_the_last_layer():
    """A regression that ends in a batch normalization."""
    model = keras.Sequential([keras.Input((6,)), dense(), layers.Dense(1), layers.BatchNormalization(name="norm")])
    model.compile("adam", "mse")
    return model, X, Y, {}


@shows("batch-size")
def four_large_batches():
    """Batches of 128 of 256 rows, for five epochs."""
    return sequential(dense()), X, Y, {"batch_size": 128, "epochs": 5}


@shows("linear-stack")
def two_layers_without_activation():
    """Two hidden layers whose activation was forgotten."""
    hidden = [layers.Dense(16, name="first"), layers.Dense(16, name="second")]
    return sequential(*hidden), X, Y, {}


@shows("redundant-bias")
def bias_before_normalization():
    """A dense layer with a bias in front of a batch normalization."""
    hidden = [layers.Dense(16, name="hidden"), layers.BatchNormalization(name="norm"), layers.ReLU()]
    return sequential(*hidden), X, Y, {}


@shows("cannot-fit-one-batch")
def rate_for_another_optimizer():
    """Plain gradient descent with a rate of 30 on a regression: seen by `diagnosis.audit`."""
    model = keras.Sequential([keras.Input((6,)), dense(), layers.Dense(1, name="output")])
    model.compile(keras.optimizers.SGD(30.0), "mae")
    return model, X, Y, None


@shows("shared-weight-path")
def two_networks_with_equal_names():
    """Two functional networks with equal names of layers, whose outputs are added, on PyTorch."""

    def network():
        inputs = keras.Input((6,))
        return keras.Model(inputs, layers.Dense(1, name="scores")(layers.Dense(16, "relu", name="hidden")(inputs)))

    inputs, networks = keras.Input((6,)), [network(), network()]
    scores = layers.Add()([each(inputs) for each in networks])
    model = keras.Model(inputs, layers.Activation("sigmoid", name="output")(scores))
    model.compile("adam", "binary_crossentropy")
    return model, X, Y, {}
