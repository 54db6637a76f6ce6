"""One step of each optimizer, and whole epochs with Adam, against Keras's own, naive, native and the memory's limit.

    KERAS_BACKEND=torch python tests/benchmarks/optimizers.py [steps|fit] [a|b] [plain] [Adam …] [mlp|cnn|…]

Keras's trainers run the step differently, and so do the contenders: eagerly on PyTorch, inside `tf.function` on
TensorFlow (with and without XLA), under `jax.jit` with donated state on JAX.
"""

import functools
import statistics
import sys

import keras
import numpy as np
from keras import ops
from measure import environment, fits_in_turn, interleaved, row

from keras_lecture import models, optimizers

BACKEND = keras.backend.backend()
SETS = {"a: 10 tensors, 25 M floats": [(2500, 1000)] * 10, "b: 1000 tensors, 1 M floats": [(40, 25)] * 1000}
PEERS = ("keras", "naive", "native", "native fused", "limit", "ours xla", "keras xla")

OURS = {
    "SGD": lambda **s: optimizers.SGD(0.01, **s),
    "Momentum": lambda **s: optimizers.Momentum(0.01, **s),
    "Nesterov": lambda **s: optimizers.Nesterov(0.01, **s),
    "AdaGrad": lambda **s: optimizers.AdaGrad(0.01, **s),
    "RMSProp": lambda **s: optimizers.RMSProp(0.001, **s),
    "Adam": lambda **s: optimizers.Adam(0.001, **s),
    "RectifiedAdam": lambda **s: optimizers.RectifiedAdam(0.001, **s),
}
KERAS = {
    "SGD": lambda **s: keras.optimizers.SGD(0.01, **s),
    "Momentum": lambda **s: keras.optimizers.SGD(0.01, momentum=0.9, **s),
    "Nesterov": lambda **s: keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True, **s),
    "AdaGrad": lambda **s: keras.optimizers.Adagrad(0.01, **s),
    "RMSProp": lambda **s: keras.optimizers.RMSprop(0.001, **s),
    "Adam": lambda **s: keras.optimizers.Adam(0.001, **s),
    # Keras has no rectified Adam.
    "RectifiedAdam": lambda **s: keras.optimizers.Adam(0.001, **s),
}
EXTRAS = {
    "": {},
    " + clip": {"global_clipnorm": 1e-3},
    " + decay": {"weight_decay": 0.01},
    " + l1": {"l1": 1e-4},
}


class NaiveAdam(keras.optimizers.Optimizer):
    """What one writes from Keras's guide to custom optimizers."""

    def build(self, variables):
        super().build(variables)
        self.m, self.v = self.add_optimizer_variables(variables, ["m", "v"])

    def update_step(self, gradient, variable, learning_rate):
        k = ops.cast(self.iterations + 1, variable.dtype)
        rate = ops.cast(learning_rate, variable.dtype)
        m, v = (slots[self._get_variable_index(variable)] for slots in (self.m, self.v))
        self.assign(m, 0.9 * m + 0.1 * gradient)
        self.assign(v, 0.999 * v + 0.001 * ops.square(gradient))
        m_hat, v_hat = m / (1 - ops.power(0.9, k)), v / (1 - ops.power(0.999, k))
        self.assign_sub(variable, rate * m_hat / (ops.sqrt(v_hat) + 1e-8))


def values(shapes, seed):
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape, dtype="float32") * 0.1 for shape in shapes]


def keras_step(optimizer, shapes, xla=False):
    """A function that takes one step as this backend's trainer would."""
    variables = [keras.Variable(value) for value in values(shapes, 0)]
    gradients = [ops.convert_to_tensor(value) for value in values(shapes, 1)]
    if isinstance(optimizer, optimizers.Nesterov):
        optimizer.look_ahead(variables)
    optimizer.build(variables)
    return {"torch": _eager, "tensorflow": _graph, "jax": _stateless}[BACKEND](optimizer, gradients, variables, xla)


def _eager(optimizer, gradients, variables, xla):
    import torch

    def step():
        with torch.no_grad():
            optimizer.apply(gradients, variables)

    return step


def _graph(optimizer, gradients, variables, xla):
    import tensorflow as tf

    return tf.function(lambda: optimizer.apply(gradients, variables), jit_compile=xla)


def _stateless(optimizer, gradients, variables, xla):
    import jax

    state = [[v.value for v in variables], [v.value for v in optimizer.variables]]

    # State comes out in the order in which it goes in, as in Keras's trainer: what is donated is reused in that order,
    # and in another one XLA copies every array, which takes three times as long.
    def update(weights, slots, gradients):
        return optimizer.stateless_apply(slots, gradients, weights)

    compiled = jax.jit(update, donate_argnums=(0, 1))

    def step():
        state[:] = compiled(*state, gradients)
        jax.block_until_ready(state)

    return step


def native(rule, shapes, clip):
    """`torch.optim` or optax, the fastest that each offers for the rule."""
    if BACKEND == "jax":
        return {"native": _optax(rule, shapes, clip)}
    if BACKEND != "torch":
        return {}
    foreach = _torch_optim(rule, shapes, clip, foreach=True)
    fused = _torch_optim(rule, shapes, clip, fused=True) if rule not in ("RMSProp", "RectifiedAdam") else None
    return {"native": foreach, **({"native fused": fused} if fused else {})}


def _optax(rule, shapes, clip):
    import jax
    import optax

    transformation = {
        "SGD": optax.sgd(0.01),
        "Momentum": optax.sgd(0.01, 0.9),
        "Nesterov": optax.sgd(0.01, 0.9, nesterov=True),
        "AdaGrad": optax.adagrad(0.01),
        "RMSProp": optax.rmsprop(0.001),
        "Adam": optax.adam(0.001),
        "RectifiedAdam": optax.radam(0.001),
    }[rule]
    if clip:
        transformation = optax.chain(optax.clip_by_global_norm(clip), transformation)
    weights, gradients = ([jax.numpy.asarray(v) for v in values(shapes, seed)] for seed in (0, 1))
    state = [transformation.init(weights), weights]

    def update(slots, weights, gradients):
        updates, slots = transformation.update(gradients, slots, weights)
        return slots, optax.apply_updates(weights, updates)

    compiled = jax.jit(update, donate_argnums=(0, 1))

    def step():
        state[:] = compiled(*state, gradients)
        jax.block_until_ready(state)

    return step


def _torch_optim(rule, shapes, clip, **how):
    import torch

    parameters = [torch.nn.Parameter(torch.from_numpy(v)) for v in values(shapes, 0)]
    for parameter, value in zip(parameters, values(shapes, 1), strict=True):
        parameter.grad = torch.from_numpy(value)
    optimizer = {
        "SGD": lambda: torch.optim.SGD(parameters, 0.01, **how),
        "Momentum": lambda: torch.optim.SGD(parameters, 0.01, 0.9, **how),
        "Nesterov": lambda: torch.optim.SGD(parameters, 0.01, 0.9, nesterov=True, **how),
        "AdaGrad": lambda: torch.optim.Adagrad(parameters, 0.01, **how),
        "RMSProp": lambda: torch.optim.RMSprop(parameters, 0.001, **how),
        "Adam": lambda: torch.optim.Adam(parameters, 0.001, **how),
        "RectifiedAdam": lambda: torch.optim.RAdam(parameters, 0.001, **how),
    }[rule]()

    def step():
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()

    return step


def limit(rule, shapes):
    """PyTorch's fused loop over one flat buffer: what the memory allows. None for rules that it has no loop for."""
    import torch

    size = sum(int(np.prod(shape)) for shape in shapes)
    w, g, m, v = ([torch.full((size,), 0.1)] for _ in range(4))
    step = [torch.ones(())]
    plain = {"weight_decay": 0.0, "maximize": False}
    sgd = {**plain, "lr": 0.01, "dampening": 0.0, "is_first_step": False}
    adam = {**plain, "lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False}
    return {
        "SGD": lambda: torch._fused_sgd_(w, g, [], momentum=0.0, nesterov=False, **sgd),
        "Momentum": lambda: torch._fused_sgd_(w, g, m, momentum=0.9, nesterov=False, **sgd),
        "Nesterov": lambda: torch._fused_sgd_(w, g, m, momentum=0.9, nesterov=True, **sgd),
        "AdaGrad": lambda: torch._fused_adagrad_(w, g, v, step, lr=0.01, lr_decay=0.0, eps=0.0, **plain),
        "Adam": lambda: torch._fused_adam_(w, g, m, v, [], step, **adam),
    }.get(rule)


def contenders(rule, shapes, extra):
    ours, theirs = EXTRAS[extra], {k: v for k, v in EXTRAS[extra].items() if k != "l1"}
    runs = {"ours": keras_step(OURS[rule](**ours), shapes), "keras": keras_step(KERAS[rule](**theirs), shapes)}
    if rule == "Adam" and not extra:
        runs["naive"] = keras_step(NaiveAdam(0.001), shapes)
    if extra in ("", " + clip"):
        runs.update(native(rule, shapes, ours.get("global_clipnorm")))
    if not extra and (loop := limit(rule, shapes)):
        runs["limit"] = loop
    if BACKEND == "tensorflow":
        runs["ours xla"] = keras_step(OURS[rule](**ours), shapes, xla=True)
        runs["keras xla"] = keras_step(KERAS[rule](**theirs), shapes, xla=True)
    return runs


def steps():
    print(f"One step, µs; the other columns are how many times longer each takes. {environment()}\n")
    print(f"| set, rule | ours, µs | {' | '.join(PEERS)} |\n|{'---|' * (len(PEERS) + 2)}")
    for name, shapes in SETS.items():
        if {"a", "b"} & {*sys.argv} and name[0] not in sys.argv:
            continue
        chosen = [rule for rule in OURS if rule in sys.argv] or list(OURS)
        penalized = () if "plain" in sys.argv else ("Momentum", "Adam")
        extras = [(rule, extra) for extra in EXTRAS if extra for rule in penalized if rule in chosen]
        for rule, extra in [*((rule, "") for rule in chosen), *extras]:
            times = interleaved(contenders(rule, shapes, extra), seconds=4.0)
            print(row(f"{name[0]} {rule}{extra}", times, "ours", PEERS), flush=True)


def mlp():
    hidden = [keras.layers.Dense(512, "relu") for _ in range(2)]
    return keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10)])


def cnn():
    layers = keras.layers
    convolutions = [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D()]
    convolutions += [layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
    return keras.Sequential([keras.Input((28, 28, 1)), *convolutions, layers.Dense(64, "relu"), layers.Dense(10)])


def residual():
    """ResNet-50 with an eighth of its filters, for small images: 161 variables, 108 of them vectors."""
    return models.resnet(50, (32, 32, 3), 10, width=0.125)


def transformer():
    """Twelve encoder blocks, 64 wide: 195 variables, 121 of them vectors."""
    layers = keras.layers
    inputs = keras.Input((16, 64))
    x = inputs
    for _ in range(12):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 16)(y, y)])
        y = layers.Dense(256, "gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(64)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(10)(x))


# Model, shape of a sample, batch size, batches an epoch.
FITS = {
    "mlp": (mlp, (784,), 128, 30),
    "cnn": (cnn, (28, 28, 1), 128, 8),
    "residual": (residual, (32, 32, 3), 16, 10),
    "transformer": (transformer, (16, 64), 16, 10),
}


def fit():
    print(f"\nOne batch through `fit`, µs. {environment()}\n")
    print("| model, batch size | with ours, µs | keras.optimizers.Adam |\n|---|---|---|")
    for kind in [kind for kind in FITS if kind in sys.argv] or FITS:
        make, shape, size, batches = FITS[kind]
        generator = np.random.default_rng(0)
        x = generator.random((size * batches, *shape), dtype="float32")
        y = generator.integers(0, 10, size * batches)
        fits = {}
        for name, adam in (("ours", optimizers.Adam), ("keras", keras.optimizers.Adam)):
            model = make()
            model.compile(adam(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            fits[name] = functools.partial(model.fit, x, y, batch_size=size, verbose=0)
        times = fits_in_turn(fits, seconds=25.0)
        microseconds = {name: statistics.median(t) / batches * 1e6 for name, t in times.items()}
        print(row(f"{kind}, {size}", microseconds, "ours", ("keras",)), flush=True)


if __name__ == "__main__":
    if "fit" not in sys.argv[1:]:
        steps()
    if "steps" not in sys.argv[1:]:
        fit()
