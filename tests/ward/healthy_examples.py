"""Healthy programs after the code examples of keras.io, in our words and on small data."""

import keras
import numpy as np
from keras import layers, ops
from ward.healthy_data import accuracy, digit_images, explained, program, sentences, sequential, split, waves
from ward.ward import Run

ADAM = keras.optimizers.Adam
SPARSE = "sparse_categorical_crossentropy"


@program("overfit", family="cnn")
def example_simple_convnet(seed):
    """vision/mnist_convnet: dropout of one half in front of the head, large batches, `validation_split`."""
    (x, y), held = digit_images(seed)
    body = [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(32, 2, activation="relu")]
    model = sequential((8, 8, 1), *body, layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax"))
    model.compile(ADAM(5e-3), "categorical_crossentropy", metrics=["accuracy"])
    run = {"epochs": 10, "batch_size": 64, "validation_split": 0.1}
    return Run(model, x, keras.utils.to_categorical(y, 10), None, run, accuracy(*held))


@program("redundant-bias", family="cnn", held_out=True)
def example_time_series_classification(seed):
    """timeseries/timeseries_classification_from_scratch: convolutions with biases before batch normalization, and
    callbacks that reduce the rate and stop the run."""
    train, validation = waves(seed)
    body = []
    for _ in range(2):
        body += [layers.Conv1D(24, 3, padding="same"), layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    model = sequential((24, 1), *body, layers.GlobalAveragePooling1D(), layers.Dense(3, activation="softmax"))
    model.compile(ADAM(5e-3), SPARSE, metrics=["accuracy"])
    reduce = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=4, min_lr=1e-4)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=8)
    run = {"epochs": 15, "batch_size": 32, "callbacks": [reduce, stop]}
    return Run(model, *train, validation, run, accuracy(*validation))


@program("leaked-validation", family="autoencoder")
def example_reconstruction_of_time_series(seed):
    """timeseries/timeseries_anomaly_detection: strided convolutions and their transposes, target equal to input."""
    (x, _), (x_val, _) = waves(seed, noise=0.05)
    code = [layers.Conv1D(24, 7, strides=2, padding="same", activation="relu"), layers.Dropout(0.05)]
    code += [layers.Conv1D(16, 7, strides=2, padding="same", activation="relu")]
    decode = [layers.Conv1DTranspose(16, 7, strides=2, padding="same", activation="relu"), layers.Dropout(0.05)]
    decode += [layers.Conv1DTranspose(24, 7, strides=2, padding="same", activation="relu")]
    model = sequential((24, 1), *code, *decode, layers.Conv1DTranspose(1, 7, padding="same"))
    model.compile(ADAM(3e-3), "mse")
    return Run(model, x, x, (x_val, x_val), {"epochs": 6, "batch_size": 32}, explained(x_val, x_val))


@program("zero-gradient", family="embedding")
def example_text_classification(seed):
    """nlp/text_classification_from_scratch: embedding, dropout, strided convolution, pooling over time."""
    train, validation = sentences(seed, padded=False)
    body = [layers.Embedding(100, 16), layers.Dropout(0.2), layers.Conv1D(48, 4, strides=2, activation="relu")]
    body += [layers.GlobalAveragePooling1D(), layers.Dense(32, activation="relu"), layers.Dropout(0.3)]
    model = sequential((16,), *body, layers.Dense(1, activation="sigmoid"), dtype="int32")
    model.compile(ADAM(5e-3), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))


@program("vanishing-gradient", family="recurrent", held_out=True)
def example_bidirectional_lstm(seed):
    """nlp/bidirectional_lstm_imdb: two bidirectional layers on an embedding without a mask, padded with zeros."""
    train, validation = sentences(seed, length=10)
    body = [layers.Embedding(50, 16), layers.Bidirectional(layers.LSTM(12, return_sequences=True))]
    body += [layers.Bidirectional(layers.LSTM(12))]
    model = sequential((10,), *body, layers.Dense(1, activation="sigmoid"), dtype="int32")
    model.compile(ADAM(5e-3), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 4, "batch_size": 32}, accuracy(*validation))


@program("output-loss-mismatch", family="embedding")
def example_collaborative_filtering(seed):
    """structured_data/collaborative_filtering_movielens: ratings scaled to [0, 1] under the binary cross entropy; its
    floor is the entropy of the ratings, far above zero."""
    rng = np.random.default_rng(seed)
    users, films = rng.normal(size=(60, 3)), rng.normal(size=(80, 3))
    pairs = np.stack([rng.integers(60, size=4000), rng.integers(80, size=4000)], axis=1).astype("int32")
    taste = (users[pairs[:, 0]] * films[pairs[:, 1]]).sum(axis=1) + 0.3 * rng.normal(size=4000)
    ratings = np.clip(np.round(2.5 + 1.2 * taste), 0, 5) / 5
    train, validation = split(pairs, ratings.astype("float32"), seed)
    inputs = keras.Input((2,), dtype="int32")
    user, film = inputs[:, 0], inputs[:, 1]
    start = {"embeddings_initializer": "he_normal", "embeddings_regularizer": keras.regularizers.L2(1e-6)}
    match = ops.sum(layers.Embedding(60, 6, **start)(user) * layers.Embedding(80, 6, **start)(film), -1, keepdims=True)
    bias = layers.Embedding(60, 1)(user) + layers.Embedding(80, 1)(film)
    model = keras.Model(inputs, ops.sigmoid(match + bias))
    model.compile(ADAM(2e-2), "binary_crossentropy")
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 64}, explained(*validation))


@program("shrinking-signal", family="attention")
def example_mixer(seed):
    """vision/mlp_image_classification: an MLP mixer on the sixteen patches of a digit."""
    (x, y), (x_val, y_val) = digit_images(seed)
    inputs = keras.Input((8, 8, 1))
    z = layers.Reshape((16, 24))(layers.Conv2D(24, 2, strides=2)(inputs))
    for _ in range(1):
        across = layers.Permute((2, 1))(layers.LayerNormalization()(z))
        across = layers.Dense(16)(layers.Dense(24, activation="gelu")(across))
        z = layers.Add()([z, layers.Permute((2, 1))(across)])
        within = layers.Dense(24)(layers.Dense(32, activation="gelu")(layers.LayerNormalization()(z)))
        z = layers.Add()([z, layers.Dropout(0.1)(within)])
    model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(z)))
    rate = keras.optimizers.schedules.CosineDecay(5e-3, 215)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=1e-4), loss, metrics=["accuracy"])
    return Run(model, x, y, (x_val, y_val), {"epochs": 5, "batch_size": 32}, accuracy(x_val, y_val))


@program("unscaled-input", family="multi-input")
def example_structured_data(seed):
    """structured_data/structured_data_classification: one-hot categories and standardized numbers, both by
    preprocessing layers inside of the model."""
    rng = np.random.default_rng(seed)
    age, pressure = rng.integers(29, 78, 1600), rng.normal(131, 17, 1600)
    pain = rng.integers(0, 5, 1600)
    risk = 0.1 * (age - 54) + 0.06 * (pressure - 131) + np.array([-2, -1, 0, 1, 3])[pain] + 0.5 * rng.normal(size=1600)
    y = (risk > 0).astype("int32")
    numbers = np.stack([age, pressure], axis=1).astype("float32")
    x, x_val = ({"numbers": numbers[part], "pain": pain[part].astype("int32")}
                for part in (slice(1200), slice(1200, None)))  # fmt: skip
    scale = layers.Normalization()
    scale.adapt(x["numbers"])
    inputs = {"numbers": keras.Input((2,), name="numbers"), "pain": keras.Input((1,), dtype="int32", name="pain")}
    one_hot = layers.CategoryEncoding(5, output_mode="one_hot")(inputs["pain"])
    z = layers.Concatenate()([scale(inputs["numbers"]), one_hot])
    z = layers.Dropout(0.3)(layers.Dense(32, activation="relu")(z))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(z))
    model.compile(keras.optimizers.RMSprop(5e-3), "binary_crossentropy", metrics=["accuracy"])
    run = {"epochs": 12, "batch_size": 32}
    return Run(model, x, y[:1200], (x_val, y[1200:]), run, accuracy(x_val, y[1200:]))
