"""Optimizer steps on TensorFlow: a variable and its slots in one pass over memory.

A rule uses TensorFlow's fused training operation if there is one that keeps the formula's range, and otherwise, on
large variables, the formula as one XLA cluster: 1.9 to 3.3 times Keras's speed on tensors of millions of weights
(docs/benchmarks/optimizers.md).
"""

import keras
import tensorflow as tf

from keras_lecture._backend.tensorflow import xla

_apply = tf.raw_ops

# The number of elements from which an XLA cluster is faster than a sequence of operations.
LARGE = 1 << 18


def optimizer_step(rule, gradients, variables, learning_rate):
    # The operations update one copy of a variable; distribution strategies use the formula, and XLA fuses it better.
    if rule.kernel is None or tf.distribute.has_strategy() or xla.inside():
        return None
    if not all(_fits(g, v) for g, v in zip(gradients, variables, strict=True)):
        return None
    gradients = rule.clipped(gradients)
    slots, penalties = rule.state_of(variables)
    make, fused, steps = _FUSED.get(rule.kernel), {}, {}
    for penalty, variable, gradient, *state in zip(penalties, variables, gradients, *slots, strict=True):
        w, state = variable.value, [slot.value for slot in state]
        rate, k = (tf.cast(tf.convert_to_tensor(x), w.dtype) for x in (learning_rate, rule.iterations + 1))
        if make and not any(penalty) and not (rule.kernel == "nesterov" and _is_large(w)):
            if w.dtype not in fused:
                fused[w.dtype] = make(rule, rate, k)
            fused[w.dtype](w, gradient, *state)
            continue
        kind = penalty, _is_large(w)
        if kind not in steps:
            steps[kind] = _formula(rule, *kind)
        steps[kind](w, gradient, rate, k, *state)
    return True


def _is_large(w):
    # In eager mode each step would compile its cluster again.
    return w.shape.num_elements() >= LARGE and not tf.executing_eagerly() and xla.exists()


def _formula(rule, penalty, large):
    """The formula for one variable; for a large one in one pass, compiled once per shape."""

    def step(w, gradient, rate, k, *state):
        values = rule.complete_step(penalty, w.read_value(), gradient, rate, k, *(slot.read_value() for slot in state))
        for target, value in zip((w, *state), values, strict=True):
            target.assign(value)

    return xla.cluster(step) if large else step


def along_velocity(rule, variables, velocities, sign):
    if (
        tf.distribute.has_strategy()
        or xla.inside()
        or any(w.dtype != v.dtype for w, v in zip(variables, velocities, strict=True))
    ):
        return None
    factors = {}
    for w, velocity in zip(variables, velocities, strict=True):
        dtype = velocity.dtype
        if dtype not in factors:
            rho = _scheduled(rule.momentum, tf.cast(rule.iterations + 1, dtype))
            factors[dtype] = -tf.cast(tf.convert_to_tensor(sign), dtype) * rho
        _subtract(w.value, factors[dtype], velocity.value)
    return True


def _fits(gradient, variable):
    """Whether a plain variable has a dense gradient of its dtype, float32 or float64."""
    return (
        isinstance(gradient, tf.Tensor)
        and isinstance(variable, keras.Variable)
        and gradient.dtype == variable.value.dtype
        and gradient.dtype in (tf.float32, tf.float64)
    )


# Each step is made once per dtype, with the scalars that all variables share: TensorFlow runs a node for each scalar,
# which takes about as long as the update of a small variable. RMSProp and Adam have none: TensorFlow updates their
# averages as G + (1 − γ)(g² − G), which stays NaN forever once g² has been infinite.


def _sgd(rule, rate, k):
    return lambda w, g: _subtract(w, rate, g)


def _subtract(w, factor, direction):
    """w ← w − factor·direction in one pass."""
    _apply.ResourceApplyGradientDescent(var=w.handle, alpha=factor, delta=direction)


def _momentum(rule, rate, k):
    rho = _scheduled(rule.momentum, k)

    def step(w, g, velocity):
        _apply.ResourceApplyKerasMomentum(var=w.handle, accum=velocity.handle, lr=rate, grad=g, momentum=rho)

    return step


def _nesterov(rule, rate, k):
    rho, momentum = _scheduled(rule.momentum, k), _momentum(rule, rate, k)

    def step(w, g, velocity):
        # Back from the look-ahead point, then momentum: two operations in place; ρv − ηg alone would take three.
        _subtract(w, rho, velocity)
        momentum(w, g, velocity)

    return step


def _adagrad(rule, rate, k):
    # The slot starts at ε: the root needs no further one.
    zero = tf.zeros((), rate.dtype)

    def step(w, g, total):
        _apply.ResourceApplyAdagradV2(var=w.handle, accum=total.handle, lr=rate, epsilon=zero, grad=g)

    return step


_FUSED = {"sgd": _sgd, "momentum": _momentum, "nesterov": _nesterov, "adagrad": _adagrad}


def _scheduled(value, k):
    value = value(k - 1) if callable(value) else tf.constant(value, k.dtype)
    return tf.cast(value, k.dtype)
