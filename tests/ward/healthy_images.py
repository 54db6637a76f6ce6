"""Healthy image models: convolutions, residual branches, normalization, augmentation in the model, global pooling."""

import keras
import numpy as np
from keras import layers
from ward.healthy_data import accuracy, digit_images, program, sequential
from ward.ward import Run

import keras_lecture

ADAM, SGD = keras.optimizers.Adam, keras.optimizers.SGD
SPARSE = "sparse_categorical_crossentropy"


def conv(filters, **options):
    return layers.Conv2D(filters, 3, **{"padding": "same", "activation": "relu", **options})


@program("uncentered-input", family="cnn")
def small_cnn_on_unit_pixels(seed):
    train, validation = digit_images(seed)
    body = [conv(16), layers.MaxPooling2D(), conv(24), layers.Flatten()]
    model = sequential((8, 8, 1), *body, layers.Dense(10, activation="softmax"))
    model.compile(ADAM(3e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 5, "batch_size": 32}, accuracy(*validation))


@program("unscaled-input", family="cnn", held_out=True)
def bytes_with_a_rescaling_layer(seed):
    """The array has values from 0 to 255; the first layer of the model scales them."""
    (x, y), (x_val, y_val) = digit_images(seed)
    x, x_val = (np.round(255 * part).astype("uint8") for part in (x, x_val))
    body = [layers.Rescaling(1 / 127.5, offset=-1.0), conv(16, strides=2), conv(32, strides=2), layers.Flatten()]
    model = sequential((8, 8, 1), *body, layers.Dense(10))
    model.compile(ADAM(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return Run(model, x, y, (x_val, y_val), {"epochs": 5, "batch_size": 32}, accuracy(x_val, y_val))


@program("overfit", family="cnn")
def augmentation_inside_the_model(seed):
    """The training loss is measured on brighter, darker and noisy images, the validation loss on clean ones."""
    train, validation = digit_images(seed)
    changed = [layers.RandomBrightness(0.3, value_range=(0.0, 1.0)), layers.GaussianNoise(0.3)]
    body = [*changed, conv(16), layers.MaxPooling2D(), conv(24), layers.Flatten()]
    model = sequential((8, 8, 1), *body, layers.Dense(10, activation="softmax"))
    model.compile(ADAM(4e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 6, "batch_size": 32}, accuracy(*validation))


@program("overfit", family="cnn", held_out=True)
def our_augmentation_and_dropout(seed):
    train, validation = digit_images(seed)
    moved = keras_lecture.layers.RandomAffine(10.0, shift=0.1, stretch=0.1)
    body = [moved, conv(16), layers.MaxPooling2D(), conv(24), layers.Flatten(), keras_lecture.layers.Dropout(0.3)]
    model = sequential((8, 8, 1), *body, layers.Dense(10))
    model.compile(ADAM(4e-3), keras_lecture.losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 6, "batch_size": 32}, accuracy(*validation))


@program("redundant-bias", family="cnn")
def convolution_batch_norm_relu(seed):
    train, validation = digit_images(seed)
    body = []
    for filters in (12, 24):
        body += [conv(filters, use_bias=False, activation=None), layers.BatchNormalization(momentum=0.9)]
        body += [layers.ReLU(), layers.MaxPooling2D()]
    model = sequential((8, 8, 1), *body, layers.Flatten(), layers.Dense(10, activation="softmax"))
    model.compile(ADAM(5e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 6, "batch_size": 32}, accuracy(*validation))


@program("zero-gradient", family="residual")
def residual_branches_with_zero_gamma(seed):
    """The last scale of each branch starts at zero: in the first step the branches have no gradient but that scale."""
    train, validation = digit_images(seed)
    inputs = keras.Input((8, 8, 1))
    x = conv(16)(inputs)
    for _ in range(2):
        y = layers.BatchNormalization(momentum=0.9)(conv(16, use_bias=False, activation=None)(x))
        y = conv(16, use_bias=False, activation=None)(layers.ReLU()(y))
        y = layers.BatchNormalization(momentum=0.9, gamma_initializer="zeros")(y)
        x = layers.ReLU()(layers.Add()([x, y]))
    outputs = layers.Dense(10, activation="softmax")(layers.Flatten()(layers.MaxPooling2D()(x)))
    model = keras.Model(inputs, outputs)
    model.compile(ADAM(3e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 3, "batch_size": 32}, accuracy(*validation))


@program("symmetric-units", family="residual", held_out=True)
def dense_residual_branches_that_start_at_zero(seed):
    """Fixup: the last kernel of each branch is zero at first, no normalization."""
    train, validation = digit_images(seed)
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(48)(layers.Flatten()(inputs))
    for _ in range(4):
        y = layers.Dense(48, activation="relu", kernel_initializer="he_normal")(layers.ReLU()(x))
        x = layers.Add()([x, layers.Dense(48, kernel_initializer="zeros")(y)])
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.ReLU()(x)))
    model.compile(ADAM(2e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))


@program("growing-signal", family="residual")
def residual_blocks_of_the_library(seed):
    """Sums of branches: the signal grows with depth by design."""
    train, validation = digit_images(seed)
    block = keras_lecture.layers.ResidualBlock
    fast = layers.BatchNormalization(momentum=0.8)
    body = [conv(12), block(12, normalization=fast), block(24, strides=2, normalization=fast)]
    model = sequential((8, 8, 1), *body, layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax"))
    model.compile(SGD(0.05, momentum=0.9), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 4, "batch_size": 48}, accuracy(*validation))


@program("growing-signal", family="residual")
def preactivation_with_stochastic_depth(seed):
    train, validation = digit_images(seed)
    fast = layers.BatchNormalization(momentum=0.8)
    block = keras_lecture.layers.ResidualBlock
    options = {"preactivation": True, "drop_path": 0.2, "normalization": fast}
    body = [conv(16, activation=None), block(16, **options), block(16, **options)]
    head = [layers.BatchNormalization(momentum=0.9), layers.ReLU(), layers.Flatten(), layers.Dense(10)]
    model = sequential((8, 8, 1), *body, *head)
    model.compile(ADAM(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 3, "batch_size": 32}, accuracy(*validation))


@program("dead-relu", family="cnn")
def group_normalization_and_batches_of_four(seed):
    (x, y), validation = digit_images(seed)
    body = [conv(16, activation=None), layers.GroupNormalization(4), layers.ReLU(), layers.MaxPooling2D()]
    body += [conv(16, activation=None), layers.GroupNormalization(4), layers.ReLU(), layers.Flatten()]
    model = sequential((8, 8, 1), *body, layers.Dense(10, activation="softmax"))
    model.compile(ADAM(2e-3), SPARSE, metrics=["accuracy"])
    return Run(model, x[:600], y[:600], validation, {"epochs": 3, "batch_size": 4}, accuracy(*validation))


@program("dead-relu", family="cnn", held_out=True)
def spatial_dropout(seed):
    """Whole channels are zero in a training step."""
    train, validation = digit_images(seed)
    body = [conv(24), layers.SpatialDropout2D(0.2), layers.MaxPooling2D(), conv(32), layers.SpatialDropout2D(0.2)]
    model = sequential((8, 8, 1), *body, layers.Flatten(), layers.Dense(10, activation="softmax"))
    model.compile(ADAM(3e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 6, "batch_size": 32}, accuracy(*validation))


@program("shrinking-signal", family="cnn")
def separable_convolutions_and_global_pooling(seed):
    """Pooling over all pixels makes small signals in front of the head."""
    train, validation = digit_images(seed)
    body = []
    for filters, strides in ((24, 1), (48, 2)):
        body += [layers.SeparableConv2D(filters, 3, strides=strides, padding="same", use_bias=False)]
        body += [layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    model = sequential((8, 8, 1), *body, layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax"))
    model.compile(ADAM(1e-2), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 6, "batch_size": 32}, accuracy(*validation))


@program("output-loss-mismatch", family="cnn")
def segmentation_with_one_sigmoid_per_pixel(seed):
    """The target is an image: which pixels belong to the stroke after the noise is removed; 30 % of them do."""
    rng = np.random.default_rng(seed)
    (x, _), (x_val, _) = digit_images(seed)
    y, y_val = ((part > 0.5).astype("float32") for part in (x, x_val))
    x, x_val = ((part + 0.3 * rng.normal(size=part.shape)).astype("float32") for part in (x, x_val))
    model = sequential((8, 8, 1), conv(16), conv(16), layers.Conv2D(1, 1, activation="sigmoid"))
    model.compile(ADAM(5e-3), "binary_crossentropy", metrics=["binary_accuracy"])

    def score(model):
        guess = model.predict(x_val, verbose=0) > 0.5
        return float(guess[y_val == 1].mean() + (~guess)[y_val == 0].mean() - 1)

    return Run(model, x, y, (x_val, y_val), {"epochs": 6, "batch_size": 32}, score)


@program("frozen-layer", family="cnn", held_out=True)
def fixed_blur_in_front(seed):
    """A depthwise convolution with a constant kernel that does not train."""
    train, validation = digit_images(seed)
    kernel = np.outer([1, 2, 1], [1, 2, 1]).reshape(3, 3, 1, 1) / 16.0
    blur = layers.DepthwiseConv2D(3, padding="same", use_bias=False, trainable=False)
    model = sequential((8, 8, 1), blur, conv(24), layers.Flatten(), layers.Dense(10, activation="softmax"))
    blur.set_weights([kernel])
    model.compile(ADAM(3e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 6, "batch_size": 32}, accuracy(*validation))


@program("batch-norm-drift", family="cnn")
def lenet_with_tanh_and_average_pooling(seed):
    """1990's style: tanh, average pooling, gradient descent."""
    train, validation = digit_images(seed)
    body = [conv(8, activation="tanh"), layers.AveragePooling2D(2), conv(16, activation="tanh"), layers.Flatten()]
    model = sequential((8, 8, 1), *body, layers.Dense(32, activation="tanh"), layers.Dense(10, activation="softmax"))
    model.compile(SGD(0.1, momentum=0.9), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))
