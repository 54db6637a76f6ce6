"""Faults at the end of the net: last activation, loss and labels contradict each other."""

import keras
import numpy as np
from keras import layers, ops
from ward import programs
from ward.programs import accuracy, explained, likelihood, train
from ward.ward import case

CLASSES = "sparse_categorical_crossentropy"
ACCURACY = {"metrics": ["accuracy"]}


@case("output-loss-mismatch", family="mlp")
def forgot_softmax(sick, seed):
    """Logits into a cross entropy that expects probabilities."""
    data = programs.digits(seed)
    model = programs.mlp([32], 10, output_activation=None if sick else "softmax")
    return train(model, data, CLASSES, epochs=10, compiling=ACCURACY)


@case("output-loss-mismatch", family="cnn")
def softmax_before_a_loss_from_logits(sick, seed):
    """Softmax twice: gradients fade as the outputs become certain."""
    data = programs.digits(seed, image=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = programs.cnn(10, output_activation="softmax" if sick else None)
    return train(model, data, loss, keras.optimizers.SGD(0.03, momentum=0.9), epochs=6, compiling=ACCURACY)


@case("output-loss-mismatch", family="mlp")
def softmax_of_one_unit(sick, seed):
    """A softmax over one number is always 1."""
    data = programs.table("breast_cancer", seed)
    model = programs.mlp([16], 1, output_activation="softmax" if sick else "sigmoid")
    return train(model, data, "binary_crossentropy", epochs=15, compiling=ACCURACY)


@case("output-loss-mismatch", "dead-relu", family="regression")
def relu_on_negative_targets(sick, seed):
    """The output cannot be negative, half of the targets are."""
    data = programs.sine(seed)
    model = programs.mlp([32, 32], 1, output_activation="relu" if sick else None)
    return train(model, data, "mse", keras.optimizers.Adam(0.005), epochs=25)


@case("output-loss-mismatch", "saturation", family="regression")
def sigmoid_on_targets_of_hundreds(sick, seed):
    """Disease progression between 25 and 346 from an output between 0 and 1."""
    data = programs.table("diabetes", seed)
    data = data._replace(y=152 + 77 * data.y, y_val=152 + 77 * data.y_val)
    model = programs.mlp([32], 1, output_activation="sigmoid" if sick else None)
    return train(model, data, "mse", keras.optimizers.Adam(0.05), epochs=40)


@case("output-loss-mismatch", family="recurrent", held_out=True)
def tanh_on_a_probability(sick, seed):
    """Outputs below zero into a binary cross entropy."""
    model = programs.recurrent(1, "tanh" if sick else "sigmoid")
    data = programs.rows(seed)
    data = data._replace(y=(data.y > 4).astype("int64"), y_val=(data.y_val > 4).astype("int64"))
    score = likelihood(data.x_val, data.y_val)
    optimizer = keras.optimizers.Adam(0.005)
    return train(model, data, "binary_crossentropy", optimizer, epochs=8, score=score, compiling=ACCURACY)


def two_heads(units, activations):
    """A shared trunk with two outputs, `first` and `second`."""
    inputs = keras.Input((64,))
    x = layers.Dense(32, activation="relu")(inputs)
    heads = zip(("first", "second"), units, activations, strict=True)
    outputs = {name: layers.Dense(size, activation=kind, name=name)(x) for name, size, kind in heads}
    return keras.Model(inputs, outputs)


def two_targets(seed, second):
    """Digits with the digit as the first target and `second` of it as the other."""
    data = programs.digits(seed)
    targets = [{"first": part, "second": second(part)} for part in (data.y, data.y_val)]
    return data._replace(y=targets[0], y_val=targets[1])


@case("output-loss-mismatch", family="multi-output")
def one_of_two_heads_without_softmax(sick, seed):
    """The digit by softmax, its remainder by five bare units and a loss that expects probabilities."""
    data = two_targets(seed, lambda y: y % 5)
    model = two_heads((10, 5), ("softmax", None if sick else "softmax"))
    score = accuracy(data.x_val, data.y_val["second"], "second")
    return train(model, data, {"first": CLASSES, "second": CLASSES}, epochs=12, score=score)


@case("output-loss-mismatch", family="multi-output", held_out=True)
def one_of_two_heads_rectified(sick, seed):
    """The second head predicts a signed quantity through a ReLU."""
    data = two_targets(seed, lambda y: ((y - 4.5) / 3)[:, None].astype("float32"))
    model = two_heads((10, 1), ("softmax", "relu" if sick else None))
    score = explained(data.x_val, data.y_val["second"], "second")
    return train(model, data, {"first": CLASSES, "second": "mse"}, epochs=15, score=score)


@case("output-loss-mismatch", "label-mismatch", family="attention")
def categorical_loss_for_one_unit(sick, seed):
    """A single sigmoid with the categorical cross entropy: after normalization each probability is 1."""
    data = programs.sentences(seed)
    score = accuracy(data.x_val, data.y_val)
    data = data._replace(y=data.y[:, None].astype("float32"), y_val=data.y_val[:, None].astype("float32"))
    loss = "categorical_crossentropy" if sick else "binary_crossentropy"
    return train(programs.attention(1, "sigmoid"), data, loss, keras.optimizers.Adam(0.005), epochs=6, score=score)


@case("output-loss-mismatch", "label-mismatch", family="autoencoder", held_out=True)
def standardized_pixels_behind_a_sigmoid(sick, seed):
    """Targets with negative values, an output between 0 and 1, binary cross entropy."""
    data = programs.digits(seed)
    if sick:
        data = data._replace(x=2 * data.x - 1, x_val=2 * data.x_val - 1)
    data = data._replace(y=data.x, y_val=data.x_val)
    return train(programs.autoencoder(64), data, "binary_crossentropy", epochs=15)


@case("label-mismatch", family="mlp")
def classes_from_one(sick, seed):
    """Three classes numbered 1 to 3 for three units. TensorFlow and PyTorch refuse it, JAX does not."""
    data = programs.table("wine", seed)
    score = accuracy(data.x_val, data.y_val)
    data = data._replace(y=data.y + sick, y_val=data.y_val + sick)
    model = programs.mlp([16], 3, output_activation="softmax")
    return train(model, data, CLASSES, keras.optimizers.Adam(0.01), epochs=12, batch_size=16, score=score)


@case("label-mismatch", family="mlp")
def labels_of_minus_one_and_one(sick, seed):
    """The labels of a support vector machine, into a binary cross entropy."""
    data = programs.moons(seed)
    score = likelihood(data.x_val, data.y_val)
    if sick:
        data = data._replace(y=2 * data.y - 1, y_val=2 * data.y_val - 1)
    model = programs.mlp([16, 16], 1, output_activation="sigmoid")
    return train(model, data, "binary_crossentropy", keras.optimizers.Adam(0.01), epochs=20, score=score)


@case("label-mismatch", "output-loss-mismatch", family="mlp")
def class_numbers_against_three_units(sick, seed):
    """Squared error of a softmax of three units against the number of the class: it is broadcast."""
    data = programs.table("iris", seed)
    score = accuracy(data.x_val, data.y_val)
    if sick:
        y, y_val = data.y[:, None].astype("float32"), data.y_val[:, None].astype("float32")
    else:
        y, y_val = keras.utils.to_categorical(data.y, 3), keras.utils.to_categorical(data.y_val, 3)
    data = data._replace(y=y, y_val=y_val)
    model = programs.mlp([16], 3, output_activation="softmax")
    return train(model, data, "mse", keras.optimizers.Adam(0.02), epochs=20, batch_size=16, score=score)


@case("label-mismatch", family="regression")
def targets_without_their_last_axis(sick, seed):
    """Outputs of (n, 1, 1) against targets of (n, 1): every prediction is compared with every target."""
    data = programs.sine(seed)
    score = explained(data.x_val, data.y_val[:, :, None])
    if not sick:
        data = data._replace(y=data.y[:, :, None], y_val=data.y_val[:, :, None])
    model = programs.mlp([32, 32], 1)
    model.add(layers.Reshape((1, 1)))

    class Broadcast(keras.losses.Loss):
        def __call__(self, y_true, y_pred, sample_weight=None):
            return ops.mean(ops.square(ops.convert_to_tensor(y_true) - y_pred))

    return train(model, data, Broadcast(), keras.optimizers.Adam(0.005), epochs=25, score=score)


@case("label-mismatch", family="recurrent", held_out=True)
def fewer_units_than_classes(sick, seed):
    """Rows of digits read by a GRU into four units, for ten classes. Only JAX trains on."""
    data = programs.rows(seed)
    model = programs.recurrent(4 if sick else 10, "softmax", 32, layers.GRU)
    score = accuracy(data.x_val, data.y_val)
    return train(model, data, CLASSES, keras.optimizers.Adam(0.01), epochs=6, score=score)


@case("slow-learning", "label-mismatch", "learning-rate-too-low", "underfit", family="regression")
def prices_in_dollars(sick, seed):
    """Targets of several hundred thousand: Adam's steps of 0.001 never get there."""
    data = programs.sine(seed)
    if sick:
        data = data._replace(y=4e5 + 1e5 * data.y, y_val=4e5 + 1e5 * data.y_val)
    return train(programs.mlp([32, 32], 1), data, "mse", keras.optimizers.Adam(0.005), epochs=25)


@case("label-mismatch", "unlearnable-labels", family="cnn")
def labels_in_eight_bits(sick, seed):
    """One-hot labels that went through the image pipeline, too: divided by 255."""
    data = programs.digits(seed, image=True)
    score = likelihood(data.x_val, data.y_val)
    divisor = 255 if sick else 1
    y, y_val = (keras.utils.to_categorical(part, 10) / divisor for part in (data.y, data.y_val))
    data = data._replace(y=y.astype("float32"), y_val=np.float32(y_val))
    optimizer = keras.optimizers.SGD(0.03, momentum=0.9)
    return train(programs.cnn(10), data, "categorical_crossentropy", optimizer, epochs=8, score=score)
