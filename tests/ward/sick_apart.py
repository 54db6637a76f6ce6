"""Parts of a program that do not fit each other: two encoders, a callback and its number, a type and its updates."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from ward import programs
from ward.programs import train
from ward.ward import case

CLASSES = "sparse_categorical_crossentropy"
ACCURACY = {"metrics": ["accuracy"]}


@case("label-mismatch", family="mlp")
def digits_numbered_in_each_part(sick, seed):
    """A table of classes made by order of appearance, once for training and once for validation."""
    data = programs.digits(seed)
    if sick:
        _, first = np.unique(data.y_val, return_index=True)
        data = data._replace(y_val=np.argsort(np.argsort(first))[data.y_val])
    model = programs.mlp([32], 10, output_activation="softmax")
    return train(model, data, CLASSES, epochs=12, compiling=ACCURACY)


@case("label-mismatch", family="mlp")
def benign_and_malign_exchanged_in_the_validation(sick, seed):
    """The class that comes first in a file gets the number 0."""
    data = programs.table("breast_cancer", seed)
    if sick:
        data = data._replace(y_val=1 - data.y_val)
    model = programs.mlp([16], 1, output_activation="sigmoid")
    return train(model, data, "binary_crossentropy", epochs=15, compiling=ACCURACY)


@case("unlearnable-labels", "label-mismatch", "bad-split", family="recurrent")
def words_numbered_in_each_part(sick, seed):
    """A vocabulary for the training sentences, and another one for the validation sentences."""
    data = programs.sentences(seed, length=11, words=200)
    if sick:
        data = data._replace(x_val=np.random.default_rng(seed).permutation(200)[data.x_val].astype("int32"))
    body = [layers.Embedding(200, 16), layers.GlobalAveragePooling1D()]
    model = keras.Sequential([*body, layers.Dense(1, activation="sigmoid")])
    return train(model, data, "binary_crossentropy", keras.optimizers.Adam(0.003), epochs=20, compiling=ACCURACY)


@case("monitor-mode", family="mlp")
def plateau_of_a_falling_loss(sick, seed):
    """`ReduceLROnPlateau` was told that a larger loss is better, and cuts the rate while all goes well."""
    mode = "max" if sick else "min"
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", mode=mode, factor=0.1, patience=1)
    model = programs.mlp([32], 10, output_activation="softmax")
    return train(model, programs.digits(seed), CLASSES, epochs=15, compiling=ACCURACY, callbacks=[plateau])


@case("monitor-mode", family="cnn")
def stopped_by_a_rising_accuracy(sick, seed):
    """`EarlyStopping` waits for a smaller accuracy, and ends the run after three epochs."""
    mode = "min" if sick else "max"
    stopping = keras.callbacks.EarlyStopping(monitor="val_accuracy", mode=mode, patience=2)
    data = programs.digits(seed, image=True)
    return train(programs.cnn(10), data, CLASSES, epochs=12, compiling=ACCURACY, callbacks=[stopping])


@case("repeated-batch-order", family="mlp", shows=False)
def rows_shuffled_before_the_cache(sick, seed):
    """The cache of `tf.data` keeps the order of the first epoch."""
    data = programs.digits(seed)
    rows = tf.data.Dataset.from_tensor_slices((data.x, data.y))
    rows = rows.shuffle(2000).cache() if sick else rows.cache().shuffle(2000)
    model = programs.mlp([32], 10, output_activation="softmax")
    run = train(model, data._replace(x=rows.batch(32), y=None), CLASSES, epochs=12, compiling=ACCURACY, shuffle=False)
    run.fit["batch_size"] = None
    return run


@case("update-below-rounding", "weight-not-moving", "learning-rate-too-low", "slow-learning", "underfit", family="mlp")
def everything_in_bfloat16(sick, seed):
    """The weights, too, for the sake of memory: most updates are rounded away."""
    dtype = "bfloat16" if sick else "mixed_bfloat16"
    hidden = [layers.Dense(32, activation="relu", dtype=dtype) for _ in range(2)]
    model = keras.Sequential([*hidden, layers.Dense(10, activation="softmax", dtype=dtype)])
    optimizer = keras.optimizers.SGD(0.003, momentum=0.9)
    return train(model, programs.digits(seed), CLASSES, optimizer, epochs=15, compiling=ACCURACY)
