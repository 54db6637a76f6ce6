"""Healthy precision and sources: half precision, generators, data sets and loaders, several steps per execution."""

import keras
import numpy as np
from keras import layers
from ward.healthy_data import accuracy, digit_images, digits, explained, program, rings, sequential, surface, waves
from ward.ward import Run

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "torch":
    import torch

ADAM = keras.optimizers.Adam
SPARSE = "sparse_categorical_crossentropy"


@program("vanishing-gradient", family="cnn")
def half_precision(seed):
    """float16 with loss scaling, which starts too large and skips the first steps."""
    train, validation = digits(seed)
    policy = "mixed_float16"
    hidden = [layers.Dense(64, activation="relu", dtype=policy) for _ in range(2)]
    model = sequential((64,), *hidden, layers.Dense(10, activation="softmax", dtype="float32"))
    model.compile(keras.optimizers.LossScaleOptimizer(ADAM(3e-3)), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))


@program("zero-gradient", family="cnn", held_out=True)
def brain_floats(seed):
    """bfloat16 signals have eight bits: small differences between them vanish."""
    (x, y), validation = digit_images(seed)
    policy = "mixed_bfloat16"
    body = [layers.Conv2D(12, 3, activation="relu", dtype=policy), layers.Flatten(dtype=policy)]
    model = sequential((8, 8, 1), *body, layers.Dense(10, activation="softmax", dtype="float32"))
    model.compile(ADAM(3e-3), SPARSE, metrics=["accuracy"])
    return Run(model, x[:800], y[:800], validation, {"epochs": 5, "batch_size": 32}, accuracy(*validation))


if BACKEND != "torch":

    @program("unlearnable-labels", family="mlp")
    def several_steps_per_execution(seed):
        """Callbacks see one batch of five."""
        train, validation = rings(seed)
        model = sequential((2,), layers.Dense(32, activation="relu"), layers.Dense(1, activation="sigmoid"))
        model.compile(ADAM(2e-2), "binary_crossentropy", steps_per_execution=5)
        return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, accuracy(*validation))


def endless(x, y, batch_size, rng):
    """Random batches without an end."""
    while True:
        rows = rng.integers(len(x), size=batch_size)
        yield x[rows], y[rows]


@program("bad-split", family="mlp", held_out=True)
def endless_generator(seed):
    train, validation = digits(seed)
    model = sequential((64,), layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"))
    model.compile(ADAM(3e-3), SPARSE, metrics=["accuracy"])
    batches = endless(*train, 32, np.random.default_rng(seed))
    # Keras warns of its default `shuffle=True` here, as it cannot shuffle a generator.
    run = {"epochs": 8, "steps_per_epoch": 40, "shuffle": False}
    return Run(model, batches, None, validation, run, accuracy(*validation))


class Noisy(keras.utils.PyDataset):
    """Batches with fresh noise in every epoch."""

    def __init__(self, x, y, seed):
        super().__init__()
        self.x, self.y, self.rng = x, y, np.random.default_rng(seed)

    def __len__(self):
        return len(self.x) // 32

    def __getitem__(self, index):
        rows = slice(32 * index, 32 * index + 32)
        x = self.x[rows]
        return (x + 0.2 * self.rng.normal(size=x.shape)).astype("float32"), self.y[rows]

    def on_epoch_end(self):
        order = self.rng.permutation(len(self.x))
        self.x, self.y = self.x[order], self.y[order]


@program("overfit", family="cnn")
def dataset_with_noise_on_its_batches(seed):
    """Training batches are noisy, the validation set is clean: its loss is lower."""
    train, validation = waves(seed)
    body = [layers.Conv1D(24, 5, activation="relu", padding="same") for _ in range(2)]
    model = sequential((24, 1), *body, layers.GlobalMaxPooling1D(), layers.Dense(3, activation="softmax"))
    model.compile(ADAM(5e-3), SPARSE, metrics=["accuracy"])
    return Run(model, Noisy(*train, seed), None, validation, {"epochs": 12}, accuracy(*validation))


if BACKEND == "tensorflow":

    def batches_of(x, y, seed):
        return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(500, seed=seed).batch(32).prefetch(1)

elif BACKEND == "torch":

    def batches_of(x, y, seed):
        rows = torch.utils.data.TensorDataset(torch.as_tensor(x), torch.as_tensor(y).float())
        return torch.utils.data.DataLoader(rows, 32, shuffle=True, generator=torch.Generator().manual_seed(seed))


if BACKEND != "jax":

    @program("bad-split", family="regression")
    def loader_of_the_backend(seed):
        """`tf.data` or a torch `DataLoader` for both parts."""
        train, validation = surface(seed)
        model = sequential((5,), *[layers.Dense(48, activation="relu") for _ in range(2)], layers.Dense(1))
        model.compile(ADAM(5e-3), "mse")
        parts = batches_of(*train, seed), batches_of(*validation, seed)
        return Run(model, parts[0], None, parts[1], {"epochs": 10, "shuffle": False}, explained(*validation))
