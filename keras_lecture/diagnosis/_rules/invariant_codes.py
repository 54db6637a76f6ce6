"""Keras code for the cures of violated invariants."""

NOISE = """\
class Noise(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, x, training=False):
        noise = keras.random.normal(keras.ops.shape(x), seed=self.seed_generator)
        return x + noise if training else x"""

MASK = """\
class Mask(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, x, training=False):
        return keras.random.dropout(x, 0.5, seed=self.seed_generator) if training else x"""

WEIGHTED = """\
class Weighted(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, y_pred, sample_weight, training)"""

CLASSIFIER = """\
class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = [keras.layers.Dense(64, activation="relu") for _ in range(2)]
        self.scores = keras.layers.Dense(10)

    def call(self, x):
        for layer in self.hidden:
            x = layer(x)
        return self.scores(x)"""

PASSED_ON = """\
class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.dropout, self.scores = keras.layers.Dropout(0.5), keras.layers.Dense(10)

    def call(self, x, training=None):
        return self.scores(self.dropout(x, training=training))"""

HALF_STEP = """\
class HalfStep(keras.optimizers.SGD):
    def apply(self, grads, trainable_variables=None):
        super().apply([grad / 2 for grad in grads], trainable_variables)"""

BLOCK = """\
class Block(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.normalization = keras.layers.BatchNormalization()

    def call(self, x, training=False):
        return self.normalization(x, training=training)"""

ROWS = """\
class Rows(keras.utils.PyDataset):
    def __len__(self):
        return math.ceil(len(x) / 32)

    def __getitem__(self, index):
        return x[32 * index : 32 * (index + 1)], y[32 * index : 32 * (index + 1)]"""

FIXED = """\
class Fixed(keras.layers.Wrapper):
    def call(self, x):
        return self.layer(x, training=False)

hidden = Fixed(layer)(inputs)"""
