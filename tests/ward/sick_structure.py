"""Faults of the structure: equal units, frozen or cut layers, batch norm, too much regularization, too few units."""

import keras
from keras import layers, ops, regularizers
from ward import programs
from ward.programs import accuracy, train
from ward.ward import case

CLASSES = "sparse_categorical_crossentropy"
ACCURACY = {"metrics": ["accuracy"]}


@case("symmetric-units", "zero-gradient", "dead-relu", family="mlp")
def zeros_initializer(sick, seed):
    """All hidden kernels start at zero "to be neutral"."""
    options = {"kernel_initializer": "zeros"} if sick else {}
    model = programs.mlp([32, 32], 10, output_activation="softmax", **options)
    return train(model, programs.digits(seed), CLASSES, epochs=8, compiling=ACCURACY)


@case("symmetric-units", family="cnn")
def the_same_constant_in_each_filter(sick, seed):
    """All kernels start as the same average."""
    options = {"kernel_initializer": keras.initializers.Constant(0.05)} if sick else {}
    body = programs.cnn(10, **options).layers[:-1]
    model = keras.Sequential([*body, layers.Dense(10, activation="softmax", **options)])
    return train(model, programs.digits(seed, image=True), CLASSES, keras.optimizers.Adam(0.005), epochs=8)


@case("symmetric-units", "saturation", family="regression")
def ones_in_every_hidden_unit(sick, seed):
    """Kernels of ones in a narrow net for a curve."""
    options = {"kernel_initializer": "ones"} if sick else {}
    model = programs.mlp([32, 32], 1, "tanh", **options)
    return train(model, programs.sine(seed), "mse", keras.optimizers.Adam(0.005), epochs=25)


@case("symmetric-units", "zero-gradient", family="recurrent")
def a_gru_of_zeros(sick, seed):
    """Every kernel of zeros, the output's too."""
    zeros = {"kernel_initializer": "zeros"} if sick else {}
    again = {"recurrent_initializer": "zeros"} if sick else {}
    model = keras.Sequential([layers.GRU(24, **zeros, **again), layers.Dense(10, activation="softmax", **zeros)])
    return train(model, programs.rows(seed), CLASSES, keras.optimizers.Adam(0.005), epochs=8)


@case("redundant-bias", family="mlp", shows=False)
def bias_before_batch_norm(sick, seed):
    """Batch normalization subtracts the bias again."""
    norm = [layers.Dense(32, use_bias=sick), layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    model = keras.Sequential([*norm, layers.Dense(10, activation="softmax")])
    return train(model, programs.digits(seed), CLASSES, epochs=6, compiling=ACCURACY)


@case("redundant-bias", family="residual", held_out=True, shows=False)
def biases_in_normalized_blocks(sick, seed):
    """Every convolution of a residual net has a bias that batch norm removes."""
    data = programs.digits(seed, image=True)
    return train(programs.residual(2, use_bias=sick), data, CLASSES, epochs=5, compiling=ACCURACY)


@case("frozen-layer", family="cnn")
def frozen_base_that_was_never_trained(sick, seed):
    """The recipe of transfer learning, with random weights instead of pretrained ones."""
    base = programs.cnn(16, (4, 4), output_activation="relu")
    base.trainable = not sick
    model = keras.Sequential([base, layers.Dense(10, activation="softmax")])
    data = programs.digits(seed, image=True)
    return train(model, data, CLASSES, keras.optimizers.Adam(0.01), epochs=10, compiling=ACCURACY)


@case("frozen-layer", family="recurrent", held_out=True)
def frozen_random_lstm(sick, seed):
    """`trainable = False` was left on while the head was debugged."""
    model = programs.recurrent(10, "softmax", 12, layers.LSTM)
    model.layers[0].trainable = not sick
    return train(model, programs.rows(seed), CLASSES, keras.optimizers.Adam(0.01), epochs=8)


@case("frozen-layer", family="multi-output")
def frozen_trunk_of_two_heads(sick, seed):
    """Narrow random features, frozen, for two tasks."""
    data = programs.circles(seed)
    score = accuracy(data.x_val, data.y_val, "inside")
    targets = ({"inside": y, "left": (x[:, 0] < 0).astype("int64")} for x, y in (data[:2], data[2:]))
    y, y_val = targets
    inputs = keras.Input((2,))
    trunk = layers.Dense(6, activation="tanh", trainable=not sick)
    x = layers.Dense(6, activation="tanh", trainable=not sick)(trunk(inputs))
    heads = {name: layers.Dense(1, activation="sigmoid", name=name)(x) for name in ("inside", "left")}
    loss = dict.fromkeys(heads, "binary_crossentropy")
    data = data._replace(y=y, y_val=y_val)
    return train(keras.Model(inputs, heads), data, loss, keras.optimizers.Adam(0.02), epochs=25, score=score)


@case("frozen-layer", family="attention")
def frozen_random_word_vectors(sick, seed):
    """Word vectors and attention frozen, as if they came from a language model."""
    model = programs.attention(2, words=200)
    for layer in model.layers[:-1]:
        layer.trainable = not sick
    return train(model, programs.sentences(seed, words=200), CLASSES, keras.optimizers.Adam(0.007), epochs=5)


@case("zero-gradient", "frozen-layer", family="mlp", held_out=True)
def rounded_features(sick, seed):
    """A `round` in the middle of the net has the derivative zero everywhere."""
    middle = layers.Lambda(ops.round) if sick else layers.Lambda(ops.tanh)
    head = [layers.Dense(16, activation="relu"), layers.Dense(10, activation="softmax")]
    model = keras.Sequential([layers.Dense(8), middle, *head])
    return train(model, programs.digits(seed), CLASSES, keras.optimizers.Adam(0.005), epochs=12, compiling=ACCURACY)


@case("zero-gradient", "frozen-layer", family="recurrent")
def detached_state(sick, seed):
    """A `stop_gradient` from another experiment between encoder and head."""
    cut = layers.Lambda(lambda state: ops.stop_gradient(state) if sick else state)
    model = keras.Sequential([layers.GRU(8), cut, layers.Dense(10, activation="softmax")])
    return train(model, programs.rows(seed), CLASSES, keras.optimizers.Adam(0.01), epochs=8)


@case("zero-gradient", "output-loss-mismatch", "saturation", family="regression")
def clipped_to_the_allowed_range(sick, seed):
    """Outputs clipped to the allowed range, in which the untrained net has none."""
    data = programs.sine(seed)
    data = data._replace(y=4 + data.y, y_val=4 + data.y_val)
    model = programs.mlp([32, 32], 1, "tanh")
    if sick:
        model.add(layers.Lambda(lambda x: ops.clip(x, 2.5, 5.5)))
    return train(model, data, "mse", keras.optimizers.Adam(0.01), epochs=25)


@case("too-much-regularization", family="mlp")
def l2_of_one(sick, seed):
    """The default strength of another library."""
    options = {"kernel_regularizer": regularizers.L2(1.0 if sick else 1e-5)}
    model = programs.mlp([32, 32], 10, output_activation="softmax", **options)
    return train(model, programs.digits(seed), CLASSES, epochs=10, compiling=ACCURACY)


@case("too-much-regularization", family="attention", held_out=True)
def nearly_everything_dropped(sick, seed):
    """`Dropout(0.98)`: the share to keep of an old interface."""
    model = programs.attention(2, dropout=0.98 if sick else 0.02)
    data = programs.sentences(seed)
    return train(model, data, CLASSES, keras.optimizers.Adam(0.002), epochs=6, score=programs.likelihood(*data[2:]))


@case("too-much-regularization", "symmetric-units", "dead-relu", family="autoencoder")
def sparsity_that_silences_the_code(sick, seed):
    """An activity penalty that outweighs the reconstruction."""
    data = programs.digits(seed)
    data = data._replace(y=data.x, y_val=data.x_val)
    model = programs.autoencoder(64, activity_regularizer=regularizers.L1(1.0 if sick else 1e-6))
    return train(model, data, "mse", keras.optimizers.Adam(0.003), epochs=15)


@case("too-much-regularization", "output-loss-mismatch", "misplaced-dropout", "non-finite", family="cnn")
def dropout_behind_the_softmax(sick, seed):
    """Half of the probabilities are set to zero, that of the right class too."""
    data = programs.digits(seed, image=True)
    model = programs.cnn(10)
    if sick:
        model.add(layers.Dropout(0.5))
    score = programs.likelihood(data.x_val, data.y_val)
    return train(model, data, CLASSES, keras.optimizers.SGD(0.03, momentum=0.9), epochs=10, score=score)


@case("too-little-capacity", "underfit", family="mlp")
def two_hidden_units_for_ten_classes(sick, seed):
    """A bottleneck of two rectified units."""
    model = programs.mlp([2 if sick else 32], 10, output_activation="softmax")
    return train(model, programs.digits(seed), CLASSES, keras.optimizers.Adam(0.01), epochs=15, compiling=ACCURACY)


@case("too-little-capacity", "underfit", family="mlp", held_out=True)
def three_linear_layers(sick, seed):
    """No activation in any hidden layer, for circles."""
    model = programs.mlp([32, 32], 1, None if sick else "relu", "sigmoid")
    optimizer = keras.optimizers.Adam(0.01)
    return train(model, programs.circles(seed), "binary_crossentropy", optimizer, epochs=20, compiling=ACCURACY)


@case("too-little-capacity", "underfit", family="autoencoder")
def code_of_one_number(sick, seed):
    """Images squeezed through a single unit."""
    data = programs.digits(seed)
    data = data._replace(y=data.x, y_val=data.x_val)
    model = programs.autoencoder(64, 1 if sick else 24)
    return train(model, data, "mse", keras.optimizers.Adam(0.003), epochs=25)


@case("batch-norm-drift", family="residual")
def moving_statistics_that_hardly_move(sick, seed):
    """A momentum of 0.9999 for two hundred steps."""
    model = programs.residual(1, momentum=0.9999 if sick else 0.9)
    return train(model, programs.digits(seed, image=True), CLASSES, epochs=5, compiling=ACCURACY)


@case("batch-norm-drift", family="cnn")
def default_momentum_for_a_handful_of_steps(sick, seed):
    """Dark digits on white, 0 to 255, are normalized by statistics that have only begun to move."""
    data = programs.digits(seed, image=True)
    data = data._replace(x=255 - 255 * data.x, x_val=255 - 255 * data.x_val)
    norm = layers.BatchNormalization(momentum=0.999 if sick else 0.8)
    model = keras.Sequential([norm, *programs.cnn(10).layers])
    return train(model, data, CLASSES, keras.optimizers.Adam(0.01), epochs=6, batch_size=128)


@case("batch-norm-drift", "zero-gradient", family="mlp", held_out=True)
def batch_norm_of_single_rows(sick, seed):
    """`batch_size=1`: each row minus itself is zero."""
    data = programs.table("wine", seed)
    hidden = [layers.Dense(16), layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    model = keras.Sequential([*hidden, layers.Dense(3, activation="softmax")])
    size = 1 if sick else 16
    return train(model, data, CLASSES, keras.optimizers.Adam(0.01), epochs=6, batch_size=size, compiling=ACCURACY)
