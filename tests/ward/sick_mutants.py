"""Mutation operators of DeepCrime on its net for MNIST, made small, and demonstrations of AutoTrainer, on our data."""

import keras
import numpy as np
from keras import layers, regularizers
from ward import programs
from ward.programs import likelihood, train
from ward.ward import case

SOURCE = "dlfaults/deepcrime, operator "
AUTO_TRAINER = "shiningrain/AUTOTRAINER, demo_case "
CLASSES = "sparse_categorical_crossentropy"
ACCURACY = {"metrics": ["accuracy"]}


def net(dense=None, rate=0.25, last="softmax", **options):
    """Two convolutions, pooling, dropout, a dense layer, dropout, ten outputs; `options` go to the dense layer."""
    convolutions = [layers.Conv2D(8, 3, activation="relu"), layers.Conv2D(16, 3, activation="relu")]
    body = [*convolutions, layers.MaxPooling2D(2), layers.Dropout(rate), layers.Flatten()]
    head = [layers.Dense(32, activation="relu", **options), layers.Dropout(rate), layers.Dense(10, activation=last)]
    return keras.Sequential([*body, *head])


def run(model, seed, epochs=8, optimizer=None, data=None, loss=CLASSES, **fit):
    data = data or programs.digits(seed, image=True)
    score = likelihood(*programs.digits(seed, image=True)[2:])
    optimizer = optimizer or keras.optimizers.Adadelta(1.0)
    return train(model, data, loss, optimizer, epochs=epochs, score=score, compiling=ACCURACY, **fit)


@case("symmetric-units", family="cnn", held_out=True, source=SOURCE + "ChangeWeightsInitialisation")
def mutant_with_kernels_of_ones(sick, seed):
    """The dense layer starts with ones."""
    return run(net(kernel_initializer="ones" if sick else "glorot_uniform"), seed)


@case("too-much-regularization", family="cnn", source=SOURCE + "AddWeightsRegularisation")
def mutant_with_l1(sick, seed):
    """An l1 penalty on the dense kernel."""
    return run(net(kernel_regularizer=regularizers.L1(0.1) if sick else None), seed)


@case("too-much-regularization", family="cnn", source=SOURCE + "ChangeDropoutRate")
def mutant_that_drops_nearly_all(sick, seed):
    """Dropout near the top of the range of the operator."""
    return run(net(rate=0.95 if sick else 0.125), seed)


@case("output-loss-mismatch", family="cnn", source=SOURCE + "RemoveActivation")
def mutant_without_last_activation(sick, seed):
    """Softmax removed, the loss still expects probabilities."""
    return run(net(last=None if sick else "softmax"), seed)


@case(
    "slow-learning", "learning-rate-too-low", "underfit", family="cnn", held_out=True, source=SOURCE + "DisableBatching"
)
def mutant_with_one_batch(sick, seed):
    """All rows in one batch, eight steps in eight epochs; forty here."""
    optimizer = keras.optimizers.SGD(0.05, momentum=0.5)
    return run(net(rate=0.0), seed, 40, optimizer, batch_size=1348 if sick else 64)


@case(
    "slow-learning",
    "learning-rate-too-low",
    "underfit",
    family="cnn",
    source=SOURCE + "ChangeOptimisationFunction",
)
def mutant_with_plain_descent(sick, seed):
    """Adadelta replaced by SGD with its default rate of 0.01."""
    return run(net(), seed, 8, keras.optimizers.SGD() if sick else None)


@case(
    "learning-rate-too-high",
    "oscillating-loss",
    "dead-relu",
    family="cnn",
    source=SOURCE + "ChangeLearningRate",
)
def mutant_with_a_rate_of_one(sick, seed):
    """The upper end of the range of the operator for MNIST, for Adam."""
    return run(net(), seed, 8, keras.optimizers.Adam(1.0 if sick else 0.002))


@case("unlearnable-labels", "overfit", "label-mismatch", family="cnn", source=SOURCE + "ChangeLabels")
def mutant_with_random_labels(sick, seed):
    """Nine of ten labels replaced by labels of other classes."""
    data = programs.digits(seed, image=True)
    generator = np.random.default_rng(seed)
    other = (data.y + generator.integers(1, 10, len(data.y))) % 10
    wrong = generator.uniform(size=len(data.y)) < (0.9 if sick else 0)
    return run(net(), seed, data=data._replace(y=np.where(wrong, other, data.y)))


@case("unscaled-input", "uncentered-input", family="cnn", source=AUTO_TRAINER + "Data_Issue_case")
def without_preprocessing(sick, seed):
    """The call that preprocesses the images was commented out: pixels to 255, He kernels, dropout."""
    data = programs.digits(seed, image=True)
    if sick:
        data = data._replace(x=data.x * 255, x_val=data.x_val * 255)
    start = {"kernel_initializer": "he_uniform"}
    dense = [layers.Dense(size, activation="relu", **start) for size in (64, 32)]
    body = programs.cnn(10, (8, 16), **start).layers[:-1]
    model = keras.Sequential([*body, *dense, layers.Dropout(0.25), layers.Dense(10, activation="softmax")])
    score = likelihood(data.x_val, data.y_val)
    return train(model, data, CLASSES, epochs=8, score=score)


@case(
    "output-loss-mismatch", "dead-relu", family="mlp", held_out=True, source=AUTO_TRAINER + "Improper_Activation_case"
)
def blobs_by_rectified_outputs(sick, seed):
    """Four layers of fifty rectified units and three rectified outputs for a categorical cross entropy."""
    data = programs.one_hot(programs.blobs(seed), 3)
    score = likelihood(data.x_val, data.y_val.argmax(axis=1))
    model = programs.mlp([50] * 4, 3, output_activation="relu" if sick else "softmax", kernel_initializer="he_uniform")
    return train(model, data, "categorical_crossentropy", keras.optimizers.Adam(5e-4), epochs=15, score=score)
