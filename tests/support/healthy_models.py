"""Healthy models of many kinds with small batches, the same numbers on every backend, for comparisons of backends."""

import keras
import numpy as np
from keras import layers as k
from keras import ops

from keras_lecture import layers as ours
from keras_lecture import models, optimizers

SCORES = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
_RNG = np.random.default_rng(5)
VECTORS, IMAGES = _RNG.normal(size=(6, 5)), _RNG.normal(size=(4, 32, 32, 3))
SMALL, SERIES = _RNG.normal(size=(4, 8, 8, 3)), _RNG.normal(size=(4, 6, 3))
TOKENS = np.array([[3, 1, 4, 0, 0], [1, 5, 9, 2, 6], [5, 3, 5, 8, 0]])


def fill(model, seed=0):
    """Weights from NumPy's generator: kernels of unit gain, positive gains and variances."""
    rng, values = np.random.default_rng(seed), []
    for variable in model.weights:
        noise = rng.normal(size=variable.shape)
        if variable.name in ("gamma", "moving_variance", "scale"):
            noise = 1 + 0.3 * np.abs(noise)
        elif len(variable.shape) > 1 and "bias" not in variable.name:
            noise = noise / np.sqrt(np.prod(variable.shape[:-1]))
        else:
            noise = 0.1 * noise
        values.append(noise.astype("float32"))
    model.set_weights(values)
    return model


def stack(shape, *layers, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


def classifier(network, x, optimizer="adam", loss=SCORES, classes=3):
    """The network with its loss and optimizer, and a batch."""
    network.compile(optimizer, loss)
    return network, x, np.arange(len(x)) % classes


def small(*layers, optimizer="adam", x=SMALL):
    """A convolutional classifier with these layers in the middle."""
    return classifier(
        stack(x.shape[1:], k.Conv2D(4, 3, name="conv"), *layers, k.Flatten(), k.Dense(3, name="top")), x, optimizer
    )


def recurrent(*layers, optimizer="rmsprop", x=SERIES):
    return classifier(stack(x.shape[1:], *layers, k.Dense(3, name="top")), x, optimizer)


def transformer(dropout=0.1, **attention):
    tokens = keras.Input((5,), dtype="int32")
    x = k.Embedding(10, 8, mask_zero=True)(tokens)
    # `x + y` loses the mask: then PyTorch's gradients of padded positions, which differ, would count.
    x = k.LayerNormalization(name="norm")(k.Add()([x, k.MultiHeadAttention(2, 4, dropout=dropout, name="mha")(x, x)]))
    hidden = k.Dense(16, activation="gelu", name="wide")(x)
    x = k.LayerNormalization()(k.Add()([x, k.Dense(8)(k.Dropout(dropout)(hidden))]))
    return classifier(keras.Model(tokens, k.Dense(3)(k.GlobalAveragePooling1D()(x))), TOKENS, keras.optimizers.AdamW())


def nested():
    inner = stack((8, 8, 3), k.Conv2D(4, 3, padding="same", activation="relu"), k.BatchNormalization())
    inputs = keras.Input((8, 8, 3))
    x = k.GlobalAveragePooling2D()(inner(inputs))
    return classifier(keras.Model(inputs, k.Dense(3)(x)), SMALL)


def shared():
    inputs = keras.Input((5,))
    layer = k.Dense(5, activation="tanh", name="shared")
    return classifier(keras.Model(inputs, k.Dense(3)(layer(layer(inputs)) + inputs)), VECTORS, "nadam")


def several():
    one, two = keras.Input((5,), name="one"), keras.Input((8, 8, 3), name="two")
    both = k.Concatenate()([k.Dense(4, "relu")(one), k.GlobalMaxPooling2D()(k.Conv2D(4, 3)(two))])
    model = keras.Model({"one": one, "two": two}, {"size": k.Dense(1, name="size")(both), "kind": k.Dense(3)(both)})
    model.compile("adagrad", {"size": "mse", "kind": SCORES})
    x = {"one": VECTORS[:4], "two": SMALL}
    return model, x, {"size": np.arange(4.0)[:, None], "kind": np.arange(4) % 3}


@keras.saving.register_keras_serializable("healthy_models")
class Subclassed(keras.Model):
    """A model whose `call` computes between its layers, with a weight and a loss of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.one, self.two = k.Dense(6, name="one"), k.Dense(3, name="two")
        self.scale = self.add_weight(shape=(6,), name="scale")

    def call(self, x, training=False):
        hidden = ops.silu(self.one(x) * self.scale)
        self.add_loss(1e-3 * ops.mean(ops.square(hidden)))
        return self.two(hidden)


def subclassed():
    model = Subclassed()
    model(VECTORS[:1])
    return classifier(model, VECTORS, keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=0.1))


def autoencoder():
    layers = [k.Conv2D(4, 3, strides=2, padding="same", activation="elu"), k.Conv2D(2, 3, strides=2, padding="same")]
    layers += [k.Conv2DTranspose(4, 3, strides=2, padding="same", activation="softplus"), k.UpSampling2D()]
    model = stack((8, 8, 3), *layers, k.Conv2D(3, 3, padding="same", activation="sigmoid"))
    model.compile("adamax", "binary_crossentropy")
    return model, SMALL, np.clip(SMALL, 0, 1)


def typed(policy, loss_scaled=False):
    """A small network in a type of low precision."""
    options = {"dtype": policy}
    layers = [k.Conv2D(4, 3, **options), k.BatchNormalization(**options), k.ReLU(**options), k.Flatten(**options)]
    return classifier(stack((8, 8, 3), *layers, k.Dense(16, "gelu", **options), k.Dense(3, **options)), SMALL)


def regression(loss, optimizer, *layers):
    model = stack((5,), *layers, k.Dense(2))
    model.compile(optimizer, loss)
    return model, VECTORS, VECTORS[:, :2] ** 2


def _fine_tuned():
    base = models.resnet(8, (32, 32, 3), 4, width=0.25)
    return classifier(models.fine_tune(base, 3), IMAGES, optimizers.Momentum(0.1))


def _mlp(**options):
    return models.mlp((5,), 3, units=(16, 16), **options)


L2 = keras.regularizers.L2(1e-2)
HEALTHY = {
    "mlp": lambda: classifier(_mlp(dropout=0.3), VECTORS, optimizers.Adam(0.01)),
    "mlp batch": lambda: classifier(_mlp(normalization="batch"), VECTORS, "lion"),
    "alexnet": lambda: classifier(
        models.alexnet((67, 67, 3), 3, width=0.05), np.tile(IMAGES, (1, 3, 3, 1))[:, :67, :67]
    ),
    "all_conv": lambda: classifier(models.all_conv((32, 32, 3), 3, width=0.05), IMAGES),
    "densenet": lambda: classifier(models.densenet(16, (16, 16, 3), 3, growth=4), IMAGES[:, :16, :16]),
    "fcn": lambda: (
        lambda model: (model.compile("adam", SCORES), (model, IMAGES[:2], np.ones((2, 32, 32), "int32")))[1]
    )(models.fcn((32, 32, 3), 3, width=0.05)),
    "fine_tune": _fine_tuned,
    "plain": lambda: classifier(models.plain(8, (32, 32, 3), 3, width=0.25), IMAGES, optimizers.Nesterov(0.1)),
    "resnet": lambda: classifier(models.resnet(14, (32, 32, 3), 3, width=0.25), IMAGES, optimizers.Nesterov(0.1)),
    "vgg": lambda: classifier(models.vgg(11, (32, 32, 3), 3, width=0.05), IMAGES),
    "lstm": lambda: recurrent(k.LSTM(5, return_sequences=True, dropout=0.2), k.LSTM(4)),
    "gru": lambda: recurrent(k.GRU(5, recurrent_dropout=0.2)),
    "gru reset before": lambda: recurrent(k.GRU(5, reset_after=False, go_backwards=True)),
    "bidirectional": lambda: recurrent(k.Masking(), k.Bidirectional(k.LSTM(4, return_sequences=True)), k.SimpleRNN(4)),
    "time distributed": lambda: recurrent(k.TimeDistributed(k.Dense(4, "relu")), k.Conv1D(4, 3), k.Flatten()),
    "transformer": transformer,
    "grouped query": lambda: recurrent(_Self(k.GroupQueryAttention(4, 4, 2)), k.GlobalMaxPooling1D()),
    "additive attention": lambda: recurrent(_Self(k.AdditiveAttention()), k.Flatten()),
    "embedding": lambda: classifier(
        stack((5,), k.Embedding(10, 4), k.GlobalMaxPooling1D(), k.Dense(3), dtype="int32"), TOKENS, "ftrl"
    ),
    "mixed bfloat16": lambda: typed("mixed_bfloat16"),
    "mixed float16": lambda: typed("mixed_float16"),
    "bfloat16": lambda: typed("bfloat16"),
    "float16": lambda: typed("float16"),
    "float64": lambda: typed("float64"),
    "batch norm": lambda: small(k.BatchNormalization(), k.ReLU(), k.MaxPooling2D(), k.BatchNormalization()),
    "group norm": lambda: small(k.GroupNormalization(2), k.LeakyReLU(), k.AveragePooling2D(2, padding="same")),
    "our norms": lambda: small(ours.GroupNormalization(2), ours.InstanceNormalization(), ours.LayerNormalization()),
    "our layers": lambda: small(ours.MaxoutConv2D(4, 3), ours.BatchNormalization(), ours.PReLU(), ours.Dropout(0.3)),
    "our blocks": lambda: small(ours.ResidualBlock(4), ours.StochasticDepth(0.3), ours.LocalResponseNormalization()),
    "drop connect": lambda: small(k.Flatten(), ours.DropConnect(k.Dense(5, "relu"), rate=0.5), ours.Maxout(4)),
    "spectral norm": lambda: small(k.SpectralNormalization(k.Conv2D(4, 3)), k.Activation("mish")),
    "separable": lambda: small(
        k.SeparableConv2D(6, 3, strides=2, padding="same"), k.DepthwiseConv2D(3, padding="same"), k.ReLU(6.0)
    ),
    "dilated groups": lambda: small(k.Conv2D(4, 3, dilation_rate=2, groups=2), k.PReLU(shared_axes=[1, 2])),
    "autoencoder": autoencoder,
    "noise": lambda: small(k.GaussianNoise(0.5), k.GaussianDropout(0.3), k.SpatialDropout2D(0.3), k.AlphaDropout(0.2)),
    "augmented": lambda: classifier(
        stack(
            (8, 8, 3),
            k.RandomFlip(),
            k.RandomRotation(0.1),
            k.Rescaling(2.0),
            k.Resizing(12, 12),
            k.Flatten(),
            k.Dense(3),
        ),
        SMALL,
    ),
    "conv lstm": lambda: classifier(
        stack((3, 8, 8, 1), k.ConvLSTM2D(2, 3), k.Flatten(), k.Dense(3)), SMALL.transpose(0, 3, 1, 2)[..., None]
    ),
    "nested": nested,
    "shared": shared,
    "several inputs": several,
    "subclassed": subclassed,
    "regularized": lambda: regression(
        "mae", "adadelta", k.Dense(8, "selu", kernel_regularizer=L2, activity_regularizer=L2), k.UnitNormalization()
    ),
    "losses": lambda: regression(
        keras.losses.Huber(0.5), keras.optimizers.Adam(0.01, weight_decay=0.1, use_ema=True), k.Dense(8, "softsign")
    ),
    "constrained": lambda: regression(
        "log_cosh", "sgd", k.Dense(8, "hard_sigmoid", kernel_constraint="max_norm"), k.RMSNormalization()
    ),
}


@keras.saving.register_keras_serializable("healthy_models")
class _Self(k.Layer):
    """Attention of a series to itself."""

    def __init__(self, attention, **kwargs):
        super().__init__(**kwargs)
        self.attention = attention

    def build(self, shape):
        if type(self.attention).__name__.startswith("Group"):
            self.attention.build(shape, shape)
        else:
            self.attention.build([shape, shape])

    def call(self, x):
        if type(self.attention).__name__.startswith("Group"):
            return self.attention(x, x)
        return self.attention([x, x])

    def compute_output_shape(self, shape):
        return shape
