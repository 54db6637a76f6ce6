"""Pairs of models that differ in one layer, loss or optimizer, and the stage and the layer to be found."""

import keras
import numpy as np
from keras import layers as k
from keras import ops
from support.healthy_models import SCORES, SERIES, SMALL, TOKENS, VECTORS, classifier, fill, stack


class Own(k.Layer):
    """A layer from a function of its input."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


class Transposed(k.Dense):
    """A dense layer that takes its kernel for that of PyTorch."""

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.kernel)) + self.bias


class Gates(k.Layer):
    """An LSTM cell with a given order of its gates."""

    state_size, output_size = (4, 4), 4

    def __init__(self, order, **kwargs):
        super().__init__(**kwargs)
        self.order = order

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1] + 4, 16), name="kernel")

    def call(self, x, states):
        gates = ops.split(ops.matmul(ops.concatenate([x, states[0]], -1), self.kernel), 4, -1)
        i, f, c, o = (gates[self.order.index(name)] for name in "ifco")
        carry = ops.sigmoid(f) * states[1] + ops.sigmoid(i) * ops.tanh(c)
        hidden = ops.sigmoid(o) * ops.tanh(carry)
        return hidden, [hidden, carry]


class Unscaled(k.MultiHeadAttention):
    """Attention without the division by the root of the dimension."""

    def build(self, query_shape, value_shape, key_shape=None):
        super().build(query_shape, value_shape, key_shape)
        self._inverse_sqrt_key_dim = 1.0


class SameByHand(k.Conv2D):
    """Padding as PyTorch's `padding=1`: of equal width on both sides, where `"same"` pads behind only."""

    def __init__(self, filters, size, **kwargs):
        super().__init__(filters, size, **{**kwargs, "padding": "valid"})

    def call(self, x):
        return super().call(ops.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]))

    def compute_output_shape(self, shape):
        return shape[0], shape[1] // 2, shape[2] // 2, self.filters


def between(layer, x=SMALL, loss=SCORES, optimizer="sgd", **top):
    """A classifier with this layer in the middle, which is to be found."""
    if len(x.shape) == 4:
        first, last = [k.Conv2D(4, 3, padding="same", name="first", activation="tanh")], [k.Flatten()]
    elif x is SERIES:
        first, last = [k.Conv1D(4, 3, padding="same", name="first", activation="tanh")], [k.Flatten()]
    else:
        first, last = [k.Dense(8, "tanh", name="first")], []
    layers = [*first, layer, *last, k.Dense(6, "tanh"), k.Dense(3, name="top", **top)]
    return classifier(stack(x.shape[1:], *layers), x, optimizer, loss)


def vectors(**options):
    """A network of dense layers with this loss or optimizer."""
    return between(k.Dense(8, "relu", name="middle"), VECTORS, **options)


def attention(layer):
    inputs = keras.Input((5,), dtype="int32")
    x = k.Embedding(10, 8)(inputs)
    x = layer(x, x) + x
    return classifier(keras.Model(inputs, k.Dense(3)(k.GlobalAveragePooling1D()(x))), TOKENS, "sgd")


def nested(epsilon):
    inner = stack((8, 8, 3), k.Conv2D(4, 3), k.BatchNormalization(epsilon=epsilon, name="norm"), k.ReLU())
    inputs = keras.Input((8, 8, 3))
    return classifier(keras.Model(inputs, k.Dense(3)(k.Flatten()(inner(inputs)))), SMALL, "sgd")


def decayed(*excluded):
    optimizer = keras.optimizers.AdamW(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=list(excluded) or None)
    return vectors(optimizer=optimizer)


def changed():
    """One weight of 16 is changed by 1e-3."""
    model, x, y = vectors()
    fill(model)
    kernel, bias = model.get_layer("middle").get_weights()
    kernel[3, 2] += 1e-3
    model.get_layer("middle").set_weights([kernel, bias])
    return model, x, y


def _detached(x):
    return ops.stop_gradient(x)


def _doubled(x):
    return 2 * x - ops.stop_gradient(x)


def _norm(**options):
    return lambda: between(k.BatchNormalization(name="it", **options))


def _adam(**options):
    return lambda: vectors(optimizer=keras.optimizers.Adam(**options))


def _layer(make, x=SMALL):
    return lambda: between(make(), x)


def _gelu(approximate):
    return _layer(lambda: k.Dense(8, lambda x: ops.gelu(x, approximate=approximate), name="it"), VECTORS)


def _rnn(order):
    return _layer(lambda: k.RNN(Gates(order), return_sequences=True, name="it"), SERIES)


def _gru(after):
    return _layer(lambda: k.GRU(4, reset_after=after, use_bias=False, return_sequences=True, name="it"), SERIES)


def _l2(strength):
    make = lambda: k.Dense(8, kernel_regularizer=keras.regularizers.L2(strength), name="it")  # noqa: E731
    return _layer(make, VECTORS)


def _loss(**options):
    return lambda: vectors(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options))


def _bidirectional(backwards):
    return _layer(
        lambda: k.Bidirectional(
            k.SimpleRNN(3, return_sequences=True, name="there"),
            backward_layer=k.SimpleRNN(3, return_sequences=True, go_backwards=True, activation=backwards, name="back"),
        ),
        SERIES,
    )


# Name → (healthy, sick, stage, layer).
FAULTS = {
    "batch norm epsilon": (_norm(epsilon=1e-3), _norm(epsilon=1e-5), "forward", "it"),
    "batch norm momentum": (_norm(momentum=0.99), _norm(momentum=0.9), "forward", "it"),
    "gelu approximate": (_gelu(False), _gelu(True), "forward", "it"),
    "padding same": (
        _layer(lambda: k.Conv2D(4, 3, strides=2, padding="same", name="it")),
        _layer(lambda: SameByHand(4, 3, strides=2, name="it")),
        "forward",
        "it",
    ),
    "transposed kernel": (
        _layer(lambda: k.Dense(8, name="it"), VECTORS),
        _layer(lambda: Transposed(8, name="it"), VECTORS),
        "forward",
        "it",
    ),
    "gate order": (_rnn("ifco"), _rnn("icfo"), "forward", "it"),
    "reset after": (_gru(True), _gru(False), "forward", "it"),
    "leaky slope": (
        _layer(lambda: k.LeakyReLU(0.2, name="it")),
        _layer(lambda: k.LeakyReLU(0.3, name="it")),
        "forward",
        "it",
    ),
    "softmax axis": (
        _layer(lambda: k.Softmax(name="it")),
        _layer(lambda: k.Softmax(axis=1, name="it")),
        "forward",
        "it",
    ),
    "one weight": (vectors, changed, "weights", "middle"),
    "layer norm epsilon": (
        _layer(lambda: k.LayerNormalization(epsilon=1e-3, name="it"), VECTORS),
        _layer(lambda: k.LayerNormalization(epsilon=1e-5, name="it"), VECTORS),
        "forward",
        "it",
    ),
    "detached": (
        _layer(lambda: Own(lambda x: x, name="it")),
        _layer(lambda: Own(_detached, name="it")),
        "backward",
        "it",
    ),
    "doubled gradient": (
        _layer(lambda: Own(lambda x: x, name="it")),
        _layer(lambda: Own(_doubled, name="it")),
        "backward",
        "it",
    ),
    "adam epsilon": (_adam(epsilon=1e-7), _adam(epsilon=1e-5), "step", "optimizer"),
    "adam beta": (_adam(beta_2=0.999), _adam(beta_2=0.99), "step", "optimizer"),
    "learning rate": (_adam(learning_rate=1e-3), _adam(learning_rate=1.01e-3), "step", "optimizer"),
    "clipping": (_adam(), _adam(clipvalue=0.01), "step", "optimizer"),
    "decayed bias": (lambda: decayed("bias"), decayed, "step", "first"),
    "constraint": (
        _layer(lambda: k.Dense(8, name="it"), VECTORS),
        _layer(lambda: k.Dense(8, kernel_constraint="unit_norm", name="it"), VECTORS),
        "step",
        "it",
    ),
    "loss reduction": (_loss(), _loss(reduction="sum"), "backward", "loss"),
    "ignored class": (_loss(), _loss(ignore_class=2), "backward", "loss"),
    "regularizer": (_l2(1e-2), _l2(1e-3), "backward", "it"),
    "channels order": (
        _layer(lambda: k.Flatten(name="it")),
        _layer(lambda: k.Flatten("channels_first", name="it")),
        "forward",
        "it",
    ),
    "attention scale": (
        lambda: attention(k.MultiHeadAttention(2, 4, name="it")),
        lambda: attention(Unscaled(2, 4, name="it")),
        "forward",
        "it",
    ),
    "upsampling": (
        _layer(lambda: k.UpSampling2D(2, interpolation="nearest", name="it")),
        _layer(lambda: k.UpSampling2D(2, interpolation="bilinear", name="it")),
        "forward",
        "it",
    ),
    "nested": (lambda: nested(1e-3), lambda: nested(1e-5), "forward", "norm"),
    "bidirectional": (_bidirectional("tanh"), _bidirectional("softsign"), "forward", "back"),
    "low precision": (
        _layer(lambda: k.Dense(8, name="it"), VECTORS),
        _layer(lambda: k.Dense(8, dtype="mixed_bfloat16", name="it"), VECTORS),
        "forward",
        "it",
    ),
}


def built(pair, which):
    """The healthy (0) or the sick (1) model of a pair and its batch, with the same weights in both."""
    model, x, y = pair[which]()
    if pair[2] != "weights" or which == 0:
        fill(model)
    return model, np.asarray(x), y
