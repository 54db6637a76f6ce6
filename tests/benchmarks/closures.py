"""What evaluating the loss again costs: Armijo's step in `fit` against SGD's, L-BFGS against gradients and peers.

    KERAS_BACKEND=torch python tests/benchmarks/closures.py [fit|lbfgs]

The first table: one batch through `model.fit`, compiled as Keras does by default. The second: one evaluation of L-BFGS
with the full batch, that is the time of a training step by the evaluations that its logs count, against one loss with
its gradients, compiled, by the same framework and alone; and one iteration of the frameworks' own L-BFGS.
"""

import sys

import keras
import numpy as np
from keras import ops
from measure import environment, interleaved, row

from keras_lecture import backend, optimizers
from keras_lecture.objective import loss_on

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
# Gradients in a row, about as many as a step of L-BFGS with 5 iterations evaluates: a process warms up to its memory.
REPEATS = 6


def mlp():
    layers = [keras.layers.Dense(512, "relu") for _ in range(2)]
    return keras.Sequential([keras.Input((784,)), *layers, keras.layers.Dense(10)])


def cnn():
    layers = keras.layers
    stack = [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(32, 3, activation="relu")]
    head = [layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1)), *stack, *head])


def batches(kind, count, size):
    """Noise with random labels, which is learned so slowly that every step of the benchmark has something to do."""
    shape = (784,) if kind is mlp else (28, 28, 1)
    return RNG.normal(size=(count * size, *shape)).astype("float32"), RNG.integers(0, 10, count * size)


def fit():
    print("| `fit`, batch 128 | SGD, µs a batch | Armijo | Armijo, adam | Adam | evaluations a step of the two |")
    print("|---|---|---|---|---|---|")
    for kind, count in ((mlp, 20), (cnn, 10)):
        x, y = batches(kind, count, 128)
        runs, seen = {}, {"Armijo": [], "Armijo, adam": []}
        makers = {
            "SGD": lambda: keras.optimizers.SGD(0.01),
            "Armijo": optimizers.Armijo,
            "Armijo, adam": lambda: optimizers.Armijo(direction="adam"),
            "Adam": lambda: keras.optimizers.Adam(0.001),
        }
        for name, make in makers.items():
            model, optimizer = kind(), make()
            optimizer = optimizer.bind(model) if hasattr(optimizer, "bind") else optimizer
            model.compile(optimizer, LOSS)

            def run(model=model, x=x, y=y, name=name, seen=seen):
                logs = model.fit(x, y, batch_size=128, verbose=0).history
                if name in seen:
                    seen[name].append(logs["evaluations"][-1])

            runs[name] = run
        times = {
            name: time / count
            for name, time in interleaved(runs, rounds=15, seconds=15.0, warmup=2, settle=False).items()
        }
        line = row(kind.__name__, times, "SGD", ("Armijo", "Armijo, adam", "Adam"))
        print(f"{line} {', '.join(f'{np.mean(counts):.2f}' for counts in seen.values())} |", flush=True)


def lbfgs():
    """Per evaluation, after some steps, while the weights move on."""
    print("\n| full batch | loss and gradients, µs | ours, per evaluation | the framework's L-BFGS, per evaluation |")
    print("|---|---|---|---|")
    for kind, size in ((mlp, 1024), (cnn, 512)):
        x, y = batches(kind, 1, size)
        model = kind()
        model.compile(optimizers.LBFGS(iterations=5).bind(model), LOSS)
        evaluations = {"ours": [], "native": []}

        def ours(model=model, x=x, y=y, counts=evaluations["ours"]):
            counts.append(int(model.train_on_batch(x, y, return_dict=True)["evaluations"]))

        ours()
        runs = {"gradients": gradients(model, x, y), "ours": ours}
        runs |= {"native": peer} if (peer := native(model, x, y, evaluations["native"])) else {}
        warmup = 2
        times = interleaved(runs, rounds=12, seconds=15.0, warmup=warmup)
        times["gradients"] /= REPEATS
        per = {name: times[name] / np.median(counts[warmup:]) for name, counts in evaluations.items() if name in times}
        print(row(f"{kind.__name__} {size}", {**times, **per}, "gradients", ("ours", "native")), flush=True)


def gradients(model, x, y):
    """One loss with its gradients and nothing else, compiled."""
    batch = (ops.convert_to_tensor(x), ops.convert_to_tensor(y), None)
    # Copies: the training steps of JAX take the buffers of the variables.
    weights = [ops.copy(v.value) for v in model.trainable_variables]
    evaluate = backend.compile(backend.value_and_grad(lambda w, batch: loss_on(model, batch, [])(w)))

    def run():
        for _ in range(REPEATS):
            (value, _), _ = evaluate(weights, batch)
            float(value)

    return run


def native(model, x, y, counts):
    """The same network and batch with torch.optim.LBFGS or optax.lbfgs, 5 iterations."""
    if BACKEND == "torch":
        return _torch(model, x, y, counts)
    return _optax(model, x, y, counts) if BACKEND == "jax" else None


def _torch(model, x, y, counts):
    import torch

    weights = [torch.nn.Parameter(v.value.detach().clone()) for v in model.trainable_variables]
    loss = loss_on(model, (ops.convert_to_tensor(x), ops.convert_to_tensor(y), None), [])
    optimizer = torch.optim.LBFGS(weights, max_iter=5, history_size=10, line_search_fn="strong_wolfe")

    def run():
        calls = []

        def closure():
            calls.append(1)
            optimizer.zero_grad()
            value, _ = loss(weights)
            value.backward()
            return value

        optimizer.step(closure)
        counts.append(len(calls))

    return run


def _optax(model, x, y, counts):
    import jax
    import optax

    loss = loss_on(model, (ops.convert_to_tensor(x), ops.convert_to_tensor(y), None), [])
    solver = optax.lbfgs(memory_size=10)

    def value(weights):
        return loss(weights)[0]

    weights = [jax.numpy.array(v.value) for v in model.trainable_variables]
    state = [weights, solver.init(weights)]
    value_and_grad = optax.value_and_grad_from_state(value)

    @jax.jit
    def step(weights, slots):
        loss, gradients = value_and_grad(weights, state=slots)
        updates, slots = solver.update(gradients, slots, weights, value=loss, grad=gradients, value_fn=value)
        return optax.apply_updates(weights, updates), slots

    def run():
        count = 0
        for _ in range(5):
            state[0], state[1] = step(*state)
            info = optax.tree.get(state[1], "info")
            count += int(info.num_linesearch_steps)
        counts.append(count)

    return run


if __name__ == "__main__":
    print(environment() + "\n")
    if "lbfgs" not in sys.argv[1:]:
        fit()
    if "fit" not in sys.argv[1:]:
        lbfgs()
