"""Healthy sequence models: recurrent nets, attention, embeddings with masks and absent words, ordered time series."""

import keras
import numpy as np
from keras import layers
from ward.healthy_data import accuracy, explained, program, sentences, sequential, waves
from ward.ward import Run

ADAM = keras.optimizers.Adam
SPARSE = "sparse_categorical_crossentropy"


def series(seed, length=16, samples=1000):
    """Windows of one long series in the order of time, and the value that follows; the last fifth validates."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples + length + 1)
    values = np.sin(2 * np.pi * t / 25) + 0.4 * np.sin(2 * np.pi * t / 7 + 1) + 0.1 * rng.normal(size=t.size)
    windows = np.lib.stride_tricks.sliding_window_view(values, length)[: samples + 1]
    x, y = windows[:samples, :, None].astype("float32"), values[length : length + samples].astype("float32")
    cut = int(0.8 * samples)
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


@program("saturation", family="recurrent")
def lstm_on_waves(seed):
    train, validation = waves(seed)
    model = sequential((24, 1), layers.LSTM(24), layers.Dense(3, activation="softmax"))
    model.compile(ADAM(1e-2), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 10, "batch_size": 32}, accuracy(*validation))


@program("vanishing-gradient", family="recurrent", held_out=True)
def two_gru_layers(seed):
    train, validation = waves(seed)
    body = [layers.GRU(16, return_sequences=True), layers.GRU(16)]
    model = sequential((24, 1), *body, layers.Dense(3, activation="softmax"))
    model.compile(ADAM(1e-2), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 7, "batch_size": 32}, accuracy(*validation))


@program("exploding-gradient", family="recurrent")
def simple_rnn_with_clipped_gradients(seed):
    (x, y), (x_val, y_val) = series(seed)
    model = sequential((16, 1), layers.SimpleRNN(24), layers.Dense(1))
    model.compile(ADAM(5e-3, clipnorm=1.0), "mse")
    return Run(model, x, y, (x_val, y_val), {"epochs": 15, "batch_size": 32}, explained(x_val, y_val))


@program("unshuffled-batches", family="recurrent")
def time_series_in_order(seed):
    """Windows in the order of time, not shuffled: neighbors in a batch resemble each other."""
    (x, y), (x_val, y_val) = series(seed)
    model = sequential((16, 1), layers.LSTM(16), layers.Dense(1))
    model.compile(ADAM(1e-2), "mse")
    run = {"epochs": 12, "batch_size": 32, "shuffle": False}
    return Run(model, x, y, (x_val, y_val), run, explained(x_val, y_val))


@program("unlearnable-labels", family="recurrent", held_out=True)
def bidirectional_sum_of_a_sequence(seed):
    """Adding marked numbers, the classical test of recurrent nets."""
    rng = np.random.default_rng(seed)
    values, marks = rng.uniform(0, 1, (2000, 10)), np.zeros((2000, 10))
    for row in range(2000):
        marks[row, rng.choice(10, 2, replace=False)] = 1
    x = np.stack([values, marks], axis=-1).astype("float32")
    y = (values * marks).sum(axis=1).astype("float32")
    model = sequential((10, 2), layers.Bidirectional(layers.GRU(16)), layers.Dense(1))
    model.compile(ADAM(1e-2), "mse")
    validation = x[1600:], y[1600:]
    return Run(model, x[:1600], y[:1600], validation, {"epochs": 15, "batch_size": 32}, explained(*validation))


@program("zero-gradient", family="embedding")
def embedding_with_mask_and_absent_words(seed):
    """200 rows of the table, of which 150 never occur and have no gradient; zeros are padding."""
    train, validation = sentences(seed)
    body = [layers.Embedding(200, 8, mask_zero=True), layers.GlobalAveragePooling1D()]
    model = sequential((16,), *body, layers.Dense(1, activation="sigmoid"), dtype="int32")
    model.compile(ADAM(2e-2), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 10, "batch_size": 32}, accuracy(*validation))


@program("frozen-layer", family="embedding")
def masked_lstm(seed):
    train, validation = sentences(seed, length=10)
    body = [layers.Embedding(50, 12, mask_zero=True), layers.LSTM(16)]
    model = sequential((10,), *body, layers.Dense(1, activation="sigmoid"), dtype="int32")
    model.compile(ADAM(1e-2), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))


@program("unscaled-input", family="embedding", held_out=True)
def one_dimensional_convolution_over_words(seed):
    """Word numbers up to 2,000: integers, but never multiplied by a kernel."""
    (x, y), (x_val, y_val) = sentences(seed, padded=False)
    x, x_val = 40 * x, 40 * x_val
    body = [layers.Embedding(2000, 8), layers.Conv1D(24, 3, activation="relu"), layers.GlobalAveragePooling1D()]
    model = sequential((16,), *body, layers.Dense(1, activation="sigmoid"), dtype="int32")
    model.compile(ADAM(1e-2), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, x, y, (x_val, y_val), {"epochs": 10, "batch_size": 32}, accuracy(x_val, y_val))


class Positions(layers.Layer):
    """Adds a learned vector to each position."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="glorot_uniform", name="table")

    def call(self, x):
        return x + self.table


def transformer_block(x, width, heads=2, normalize_first=True, rate=0.1):
    """Attention and two dense layers, each with a residual connection."""
    y = layers.LayerNormalization()(x) if normalize_first else x
    y = layers.MultiHeadAttention(heads, width // heads, dropout=rate)(y, y)
    x = layers.Add()([x, y])
    x = x if normalize_first else layers.LayerNormalization()(x)
    y = layers.LayerNormalization()(x) if normalize_first else x
    y = layers.Dense(width)(layers.Dense(2 * width, activation="gelu")(y))
    x = layers.Add()([x, layers.Dropout(rate)(y)])
    return x if normalize_first else layers.LayerNormalization()(x)


@program("saturation", family="attention")
def transformer_on_waves(seed):
    train, validation = waves(seed)
    inputs = keras.Input((24, 1))
    patches = layers.Dense(24)(layers.Reshape((6, 4))(inputs))
    x = Positions()(patches)
    x = transformer_block(x, 24)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    model.compile(ADAM(5e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 5, "batch_size": 32}, accuracy(*validation))


@program("shrinking-signal", family="attention", held_out=True)
def transformer_on_masked_sentences(seed):
    """Normalization after the sums, a mask from the embedding through attention and pooling."""
    train, validation = sentences(seed)
    inputs = keras.Input((16,), dtype="int32")
    x = layers.Embedding(50, 16, mask_zero=True)(inputs)
    x = transformer_block(x, 16, normalize_first=False)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling1D()(x)))
    model.compile(ADAM(5e-3), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 4, "batch_size": 32}, accuracy(*validation))


@program("output-loss-mismatch", family="attention")
def next_token_of_a_counting_language(seed):
    """A causal language model: logits of shape (batch, time, words); the targets are the inputs, one step later."""
    rng = np.random.default_rng(seed)
    start, stride = rng.integers(0, 12, (1200, 1)), rng.integers(1, 4, (1200, 1))
    tokens = ((start + stride * np.arange(11)) % 12).astype("int32")
    x, y = tokens[:, :-1], tokens[:, 1:]
    inputs = keras.Input((10,), dtype="int32")
    z = Positions()(layers.Embedding(12, 24)(inputs))
    z = layers.Add()([z, layers.MultiHeadAttention(2, 12)(z, z, use_causal_mask=True)])
    z = layers.Dense(48, activation="relu")(layers.LayerNormalization()(z))
    model = keras.Model(inputs, layers.Dense(12)(z))
    model.compile(ADAM(5e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])

    def score(model):
        guess = model.predict(x[1000:], verbose=0).argmax(axis=-1)
        return float((np.mean(guess[:, 1:] == y[1000:, 1:]) - 1 / 12) / (1 - 1 / 12))

    return Run(model, x[:1000], y[:1000], (x[1000:], y[1000:]), {"epochs": 7, "batch_size": 32}, score)


@program("equal-outputs", family="recurrent")
def a_label_for_each_time_step(seed):
    """Running majority of bits, a target at each step with temporal weights that leave out the first two."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (1200, 12, 1)).astype("float32")
    y = (x.cumsum(axis=1) > 0.5 * np.arange(1, 13)[:, None]).astype("float32")
    weights = np.ones((1200, 12), "float32")
    weights[:, :2] = 0.0
    model = sequential((12, 1), layers.GRU(16, return_sequences=True), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(1e-2), "binary_crossentropy", metrics=["accuracy"])
    run = {"epochs": 10, "batch_size": 32, "sample_weight": weights[:1000]}
    score = explained(x[1000:], y[1000:])
    return Run(model, x[:1000], y[:1000], (x[1000:], y[1000:], weights[1000:]), run, score)
