"""The lectures' update rules in NumPy float64, as a loop over steps without Keras."""

import numpy as np


def sgd(w, g, rate, k, state):
    return w - rate * g, (), rate


def momentum(w, g, rate, k, state, rho=0.9):
    v = (state[0] if state else np.zeros_like(w)) * _at(rho, k) - rate * g
    return w + v, (v,), rate


def adagrad(w, g, rate, k, state, epsilon=1e-8):
    total = (state[0] if state else np.zeros_like(w)) + g**2
    size = rate / np.sqrt(total + epsilon)
    return w - size * g, (total,), size


def rmsprop(w, g, rate, k, state, gamma=0.9, epsilon=1e-8):
    mean = gamma * (state[0] if state else np.zeros_like(w)) + (1 - gamma) * g**2
    size = rate / np.sqrt(mean + epsilon)
    return w - size * g, (mean,), size


def adam(w, g, rate, k, state, beta_1=0.9, beta_2=0.999, epsilon=1e-8, bias_correction=True):
    m, v = state if state else (np.zeros_like(w), np.zeros_like(w))
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    m_hat, v_hat = (m / (1 - beta_1**k), v / (1 - beta_2**k)) if bias_correction else (m, v)
    size = rate / (np.sqrt(v_hat) + epsilon)
    return w - size * m_hat, (m, v), size


def rectified_adam(w, g, rate, k, state, beta_1=0.9, beta_2=0.999, epsilon=1e-8, threshold=4.0):
    """Liu et al., 2020, algorithm 2, with ρ from its definition as a sum (section 4.2): the closed form cancels."""
    m, v = state if state else (np.zeros_like(w), np.zeros_like(w))
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    size, rho = rate, averaging_length(beta_2, k)
    if rho > threshold:
        limit = 2 / (1 - beta_2) - 1
        r = np.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
        size = rate * r / (np.sqrt(v / (1 - beta_2**k)) + epsilon)
    return w - size * m / (1 - beta_1**k), (m, v), size


def averaging_length(beta, k):
    """ρ of k values, from their mean age: 2·Σᵢ i·βⁱ⁻¹ / Σᵢ βⁱ⁻¹ − 1, i = 1 … k, which subtracts no large numbers."""
    age = np.arange(1, k + 1)
    weights = float(beta) ** (age - 1)
    return 2 * (age * weights).sum() / weights.sum() - 1


RULES = {
    "SGD": sgd,
    "Momentum": momentum,
    "AdaGrad": adagrad,
    "RMSProp": rmsprop,
    "Adam": adam,
    "RectifiedAdam": rectified_adam,
}


def train(rule, weights, gradient, steps, rate, decay=0.0, l1=0.0, norm=None, kernels=None, **settings):
    """`steps` steps of `rule` from `weights`; `gradient(weights, k)` and `rate(k)` count steps from 0.

    `kernels` says for each weight whether decay and l1 act on it; `norm` clips the global norm of the gradients.
    """
    kernels = kernels or [True] * len(weights)
    states = [()] * len(weights)
    for k in range(steps):
        if rule == "Nesterov":
            weights, states = _nesterov(
                weights, gradient, k, _at(rate, k), states, decay, l1, norm, kernels, **settings
            )
            continue
        gradients = _clip(gradient(weights, k), norm)
        for i, g in enumerate(gradients):
            w = (1 - _at(rate, k) * decay * kernels[i]) * weights[i]
            w, states[i], size = RULES[rule](w, g, _at(rate, k), k + 1, states[i], **settings)
            weights = [*weights[:i], _shrink(w, l1 * kernels[i] * size), *weights[i + 1 :]]
    return weights


def _nesterov(weights, gradient, k, rate, states, decay, l1, norm, kernels, rho=0.9):
    velocities = [state[0] if state else np.zeros_like(w) for w, state in zip(weights, states, strict=True)]
    velocities = [_at(rho, k + 1) * v for v in velocities]
    ahead = [w + v for w, v in zip(weights, velocities, strict=True)]
    gradients = _clip(gradient(ahead, k), norm)
    velocities = [v - rate * g for v, g in zip(velocities, gradients, strict=True)]
    weights = [
        _shrink((1 - rate * decay * kernel) * w + v, l1 * kernel * rate)
        for w, v, kernel in zip(weights, velocities, kernels, strict=True)
    ]
    return weights, [(v,) for v in velocities]


def _shrink(w, threshold):
    return np.sign(w) * np.maximum(np.abs(w) - threshold, 0)


def _clip(gradients, norm):
    length = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return gradients if norm is None or length <= norm else [g * norm / length for g in gradients]


def _at(value, k):
    """A hyperparameter at step k; schedules of the momentum count from 1 in the rules above, from 0 in Keras."""
    return value(k) if callable(value) else value
