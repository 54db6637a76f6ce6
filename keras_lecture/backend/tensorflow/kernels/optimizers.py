"""Optimizer steps on TensorFlow: its fused training operations, which update a variable and its slots in one pass."""

import keras
import tensorflow as tf

from keras_lecture.backend.tensorflow import xla

_apply = tf.raw_ops

# Elements from which on a cluster of XLA is faster than several of the operations, one after the other.
LARGE = 1 << 18


def optimizer_step(rule, gradients, variables, learning_rate):
    update = _UPDATES.get(rule.kernel)
    # The operations know one copy of a variable; distribution strategies go through the formula. XLA fuses that better.
    if update is None or tf.distribute.has_strategy() or xla.inside():
        return None
    if not all(_fits(g, v) for g, v in zip(gradients, variables, strict=True)):
        return None
    gradients = rule.clipped(gradients)
    slots, penalties = rule.state_of(variables)
    steps, clusters = {}, {}
    for penalty, variable, gradient, *state in zip(penalties, variables, gradients, *slots, strict=True):
        w, state = variable.value, [slot.value for slot in state]
        if w.dtype not in steps:
            k = tf.cast(rule.iterations + 1, w.dtype)
            rate = tf.cast(tf.convert_to_tensor(learning_rate), w.dtype)
            steps[w.dtype] = rate, k, update(rule, rate, k)
        rate, k, step = steps[w.dtype]
        if (any(penalty) or rule.kernel in _PASSES) and _is_large(w):
            if penalty not in clusters:
                clusters[penalty] = _cluster(rule, penalty)
            clusters[penalty](w, gradient, rate, k, *state)
            continue
        decay, sparsify = penalty
        if decay:
            w.assign(rule.decayed(w, rate, k, *state))
        step(w, gradient, *state)
        if sparsify:
            w.assign(_shrunk(w, rule.l1 * rule.step_size(rate, k, *state)))
    return True


def _is_large(w):
    # Eagerly, each step would compile its cluster anew.
    return w.shape.num_elements() >= LARGE and not tf.executing_eagerly() and xla.exists()


def _cluster(rule, penalty):
    """The formula in one pass, compiled once a shape: no operation of TensorFlow decays or shrinks on its way."""

    @xla.cluster
    def step(w, gradient, rate, k, *state):
        values = rule.complete_step(penalty, w.read_value(), gradient, rate, k, *(slot.read_value() for slot in state))
        for target, value in zip((w, *state), values, strict=True):
            target.assign(value)

    return step


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


def dense(gradients):
    return [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in gradients]


def _fits(gradient, variable):
    """Whether this is a plain variable with a dense gradient of its dtype."""
    return (
        isinstance(gradient, tf.Tensor)
        and isinstance(variable, keras.Variable)
        and gradient.dtype == variable.value.dtype
        and gradient.dtype in (tf.float32, tf.float64)
    )


# Each update is made once a step and dtype, with the numbers that all variables share: TensorFlow runs a node for each,
# which takes about as long as the update of a small variable.


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
        # Back from the look-ahead point, then momentum: two operations in place, where ρv − ηg alone would be three.
        _subtract(w, rho, velocity)
        momentum(w, g, velocity)

    return step


def _adagrad(rule, rate, k):
    # The slot holds G + ε: the root needs no other.
    zero = tf.zeros((), rate.dtype)

    def step(w, g, accumulator):
        _apply.ResourceApplyAdagradV2(var=w.handle, accum=accumulator.handle, lr=rate, epsilon=zero, grad=g)

    return step


def _rmsprop(rule, rate, k):
    rho, epsilon = (tf.constant(value, rate.dtype) for value in (rule.rho, rule.epsilon))

    def step(w, g, mean):
        mean.assign(rho * mean + (1.0 - rho) * g * g)
        w.assign_sub(rate * g * tf.math.rsqrt(mean + epsilon))

    return step


def _adam(rule, rate, k):
    one = tf.ones((), rate.dtype)
    correction_1, correction_2 = (tf.cast(c, rate.dtype) for c in rule.corrections(k))
    shared = {
        "beta1_power": one - correction_1,
        "beta2_power": one - correction_2,
        "lr": rate,
        "beta1": rule.beta_1 * one,
        "beta2": rule.beta_2 * one,
        # TensorFlow adds its ε before the correction of Ĝ; times the root of the correction it is the ε after it.
        "epsilon": rule.epsilon * tf.sqrt(correction_2),
    }

    def step(w, g, mean, square):
        _apply.ResourceApplyAdam(var=w.handle, m=mean.handle, v=square.handle, grad=g, **shared)

    return step


_UPDATES = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
}


# The rules whose steps are several operations.
_PASSES = ("nesterov", "rmsprop")


def _shrunk(w, threshold):
    """w − clip(w, −t, t): exactly 0 where |w| ≤ t."""
    return w - tf.clip_by_value(w, -threshold, threshold)


def _scheduled(value, k):
    value = value(k - 1) if callable(value) else tf.constant(value, k.dtype)
    return tf.cast(value, k.dtype)
