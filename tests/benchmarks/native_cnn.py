"""The net of `fit_cnn.py` as the tutorials of PyTorch (modules and a loop) and of JAX (pure functions) write it.

Both return a function that trains for one epoch. TensorFlow's own way to write it is Keras.
"""

import keras

FILTERS, BATCH, RATE = (32, 64, 128), 64, 0.25


def on_torch(x, y):
    """PyTorch's modules, channels last, with its fused Adam."""
    import torch
    from torch import nn

    blocks, before = [], 3
    for filters in FILTERS:
        blocks += [nn.Conv2d(before, filters, 3, padding="same", bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
        blocks += [nn.MaxPool2d(2), nn.Dropout(RATE)]
        before = filters
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(16 * before, 10)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    images = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(y)

    def epoch():
        for start in range(0, len(x), BATCH):
            optimizer.zero_grad()
            scores = model(images[start : start + BATCH])
            nn.functional.cross_entropy(scores, labels[start : start + BATCH]).backward()
            optimizer.step()

    return epoch


def on_jax(x, y):
    """One compiled step on a tree of weights, with optax's Adam and donated state."""
    import jax
    import jax.numpy as jnp
    import optax

    start = jax.nn.initializers.glorot_uniform()
    sizes = list(zip((3, *FILTERS), FILTERS, strict=False))
    weights = {
        "kernels": [start(jax.random.key(n), (3, 3, *size)) for n, size in enumerate(sizes)],
        "gains": [jnp.ones(size) for _, size in sizes],
        "shifts": [jnp.zeros(size) for _, size in sizes],
        "dense": start(jax.random.key(9), (16 * FILTERS[-1], 10)),
        "bias": jnp.zeros(10),
    }
    statistics = [(jnp.zeros(size), jnp.ones(size)) for _, size in sizes]
    adam = optax.adam(0.001)

    def scores_of(weights, statistics, key, x):
        moved = []
        for n, kernel in enumerate(weights["kernels"]):
            x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
            moved.append(
                tuple(0.99 * old + 0.01 * new for old, new in zip(statistics[n], (mean, variance), strict=True))
            )
            x = (x - mean) * jax.lax.rsqrt(variance + 1e-3) * weights["gains"][n] + weights["shifts"][n]
            x = jax.lax.reduce_window(jax.nn.relu(x), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            keep = jax.random.bernoulli(jax.random.fold_in(key, n), 1 - RATE, x.shape)
            x = jnp.where(keep, x / (1 - RATE), 0.0)
        return x.reshape(len(x), -1) @ weights["dense"] + weights["bias"], moved

    def loss_of(weights, statistics, key, x, y):
        scores, moved = scores_of(weights, statistics, key, x)
        return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean(), moved

    def step(state, x, y):
        weights, statistics, slots, key = state
        key, now = jax.random.split(key)
        (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, statistics, now, x, y)
        updates, slots = adam.update(gradients, slots)
        return (optax.apply_updates(weights, updates), statistics, slots, key), loss

    compiled = jax.jit(step, donate_argnums=0)
    state = [(weights, statistics, adam.init(weights), jax.random.key(0))]

    def epoch():
        for first in range(0, len(x), BATCH):
            state[0], loss = compiled(state[0], x[first : first + BATCH], y[first : first + BATCH])
        jax.block_until_ready(loss)

    return epoch


NATIVE = {"torch": on_torch, "jax": on_jax}.get(keras.backend.backend())
