"""What evaluating the loss again costs: Armijo's step in `fit` against SGD's, L-BFGS against gradients and peers.

    KERAS_BACKEND=torch python tests/benchmarks/closures.py [fit|lbfgs] [mlp] [cnn] [8192]

The first table: one batch through `model.fit`, compiled as Keras does by default. The second: one evaluation of L-BFGS
with the full batch, that is the time of a training step by the evaluations that its logs count, against one loss with
its gradients, compiled, by the same framework and alone; and one iteration of the frameworks' own L-BFGS.
"""

import functools
import sys

import keras
import numpy as np
from keras import ops
from measure import environment, fits_in_turn, interleaved, row

from keras_lecture import _backend, optimizers
from keras_lecture._core.objective import loss_on

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
# Of L-BFGS in a step.
ITERATIONS = 5
# Gradients in a row, about as many as such a step evaluates: a process warms up to its memory.
REPEATS = 6


def mlp():
    layers = [keras.layers.Dense(512, "relu") for _ in range(2)]
    return keras.Sequential([keras.Input((784,)), *layers, keras.layers.Dense(10)])


def cnn():
    layers = keras.layers
    stack = [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(32, 3, activation="relu")]
    head = [layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1)), *stack, *head])


# Batches of an epoch of `fit`; the full batches of L-BFGS.
STEPS = {mlp: 60, cnn: 10}
SIZES = {mlp: (1024, 8192), cnn: (512,)}


def batches(kind, count, size):
    """Noise with random labels, so that every step of the benchmark has something to do."""
    shape = (784,) if kind is mlp else (28, 28, 1)
    return RNG.normal(size=(count * size, *shape)).astype("float32"), RNG.integers(0, 10, count * size)


def fit(kinds):
    print("| `fit`, batch 128 | SGD, µs a batch | Armijo | Armijo, adam | Adam | evaluations a step of the two |")
    print("|---|---|---|---|---|---|")
    for kind in kinds:
        count = STEPS[kind]
        x, y = batches(kind, count, 128)
        makers = {
            "SGD": lambda: keras.optimizers.SGD(0.01),
            "Armijo": optimizers.Armijo,
            "Armijo, adam": lambda: optimizers.Armijo(direction="adam"),
            "Adam": lambda: keras.optimizers.Adam(0.001),
        }
        models, fits = {}, {}
        for name, make in makers.items():
            model, optimizer = kind(), make()
            optimizer = optimizer.bind(model) if hasattr(optimizer, "bind") else optimizer
            model.compile(optimizer, LOSS)
            models[name], fits[name] = model, functools.partial(model.fit, x, y, batch_size=128, verbose=0)
        epochs = fits_in_turn(fits, seconds=12.0)
        times = {name: np.median(seconds) / count * 1e6 for name, seconds in epochs.items()}
        # Of the last step of each epoch.
        seen = [np.mean(models[name].history.history["evaluations"]) for name in ("Armijo", "Armijo, adam")]
        line = row(kind.__name__, times, "SGD", ("Armijo", "Armijo, adam", "Adam"))
        print(f"{line} {seen[0]:.2f}, {seen[1]:.2f} |", flush=True)


def lbfgs(kinds):
    """Per evaluation: one step after two from the start, with all pairs in the memory and far from the optimum.

    Thirty iterations later the weights know all labels by heart, and a step of one evaluation ends at once.
    """
    print("\n| full batch | loss and gradients, µs | ours, per evaluation | the framework's L-BFGS | evaluations |")
    print("|---|---|---|---|---|")
    for kind, size in [(each, size) for each in kinds for size in _chosen(SIZES[each])]:
        x, y = map(ops.convert_to_tensor, batches(kind, 1, size))
        model = kind()
        model.compile(optimizers.LBFGS(iterations=ITERATIONS).bind(model), LOSS)
        contenders = {"gradients": gradients(model, x, y), "ours": ours(model, x, y)}
        contenders |= {"native": NATIVE[BACKEND](model, x, y)} if BACKEND in NATIVE else {}
        runs = {name: run for name, (run, _) in contenders.items()}
        counts = {name: [] for name in contenders}

        counted = {name: functools.partial(_counted, run, counts[name]) for name, run in runs.items()}
        restarts = {name: functools.partial(_started, *both) for name, both in contenders.items()}
        for start in restarts.values():
            start()
        times = interleaved(counted, rounds=12, seconds=15.0, warmup=0, least=4, before=restarts)
        per = {name: time / np.median(counts[name]) for name, time in times.items()}
        line = row(f"{kind.__name__} {size}", per, "gradients", ("ours", "native"))
        print(f"{line} {', '.join(f'{np.mean(counts[name]):.1f}' for name in runs)} |", flush=True)


def _chosen(sizes):
    return [size for size in sizes if str(size) in sys.argv] or sizes


def _counted(run, counts):
    counts.append(run())


def _started(run, restart):
    restart()
    run()
    run()


# Each contender: a function that returns how many evaluations it made, and one that goes back to the start.


def gradients(model, x, y):
    """Losses with their gradients and nothing else, compiled."""
    # Copies: the training steps of JAX take the buffers of the variables.
    weights = [ops.copy(v.value) for v in model.trainable_variables]
    evaluate = _backend.compile(_backend.value_and_grad(lambda w, batch: loss_on(model, batch, [])(w)))

    def run():
        for _ in range(REPEATS):
            (value, _), _ = evaluate(weights, (x, y, None))
            float(value)
        return REPEATS

    return run, lambda: None


def ours(model, x, y):
    model.train_on_batch(x, y)
    variables = [*model.trainable_variables, *model.optimizer.variables]
    start = [ops.convert_to_numpy(v) for v in variables]

    def run():
        return int(model.train_on_batch(x, y, return_dict=True)["evaluations"])

    def restart():
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)

    return run, restart


def _torch(model, x, y):
    """The same network and batch with torch.optim.LBFGS."""
    import torch

    weights = [torch.nn.Parameter(v.value.detach().clone()) for v in model.trainable_variables]
    start = [w.detach().clone() for w in weights]
    loss = loss_on(model, (x, y, None), [])
    optimizer = []

    def run():
        calls = []

        def closure():
            calls.append(1)
            optimizer[0].zero_grad()
            value, _ = loss(weights)
            value.backward()
            return value

        optimizer[0].step(closure)
        return len(calls)

    def restart():
        for weight, value in zip(weights, start, strict=True):
            weight.data.copy_(value)
        settings = {"max_iter": ITERATIONS, "history_size": 10, "line_search_fn": "strong_wolfe"}
        optimizer[:] = [torch.optim.LBFGS(weights, **settings)]

    return run, restart


def _optax(model, x, y):
    """The same network and batch with optax.lbfgs."""
    import jax
    import optax

    loss = loss_on(model, (x, y, None), [])
    solver = optax.lbfgs(memory_size=10)

    def value(weights):
        return loss(weights)[0]

    start = [jax.numpy.array(v.value) for v in model.trainable_variables]
    state = []
    value_and_grad = optax.value_and_grad_from_state(value)

    @jax.jit
    def step(weights, slots):
        loss, gradients = value_and_grad(weights, state=slots)
        updates, slots = solver.update(gradients, slots, weights, value=loss, grad=gradients, value_fn=value)
        return optax.apply_updates(weights, updates), slots

    def run():
        count = 0
        for _ in range(ITERATIONS):
            state[:] = step(*state)
            info = optax.tree.get(state[1], "info")
            count += int(info.num_linesearch_steps)
        return count

    def restart():
        state[:] = start, solver.init(start)

    return run, restart


NATIVE = {"torch": _torch, "jax": _optax}

if __name__ == "__main__":
    print(environment() + "\n")
    kinds = [kind for kind in (mlp, cnn) if kind.__name__ in sys.argv] or [mlp, cnn]
    if "lbfgs" not in sys.argv[1:]:
        fit(kinds)
    if "fit" not in sys.argv[1:]:
        lbfgs(kinds)
