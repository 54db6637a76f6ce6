"""Line searches: the length of a step along a given direction."""

import math

from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture.optimizers._search.vectors import choose, descended, epsilon, repeated

# c₁ and c₂ of the Wolfe conditions.
DECREASE, SLOPE = 1e-4, 0.9
# A trial keeps this fraction of the bracket away from its ends; without a bracket it grows at most by this factor.
INSET, FARTHEST = 0.1, 10.0
# Backtracking stops at this fraction of the first step.
SMALLEST = 1e-10


@accelerate
def first_trial(last, longest, reset):
    """The first step that backtracking tries, from the last accepted one (0: none); `reset` is a factor or "full"."""
    again = longest if reset == "full" else ops.minimum(reset * last, longest)
    return ops.cast(ops.where(last > 0, again, longest), longest.dtype)


def backtrack(objective, weights, direction, loss, decrease, first, *, factor: float):
    """The first t = `first`, `factor`·`first`, … with f(w − td) ≤ f(w) − t·`decrease`.

    `loss` is f(w). Returns the last t tried, w − td, f there, whether t is accepted, and the number of evaluations.
    """

    def attempt(t):
        candidate = descended(weights, t, direction)
        return t, candidate, objective.value(candidate)

    def accepts(t, value):
        # TensorFlow 2.21 rewrites `not a <= b` as `a > b`, which differs if a is NaN.
        return ops.isfinite(value) & (value <= loss - t * decrease)

    def goes_on(t, candidate, value, evaluations):
        # From a start that is not finite no step is accepted.
        return ops.isfinite(loss + decrease) & ~accepts(t, value)

    def shrink(t, candidate, value, evaluations):
        return *attempt(factor * t), evaluations + 1

    attempts = math.ceil(math.log(SMALLEST) / math.log(factor))
    state = (*attempt(first), ops.ones((), "int32"))
    t, candidate, value, evaluations = repeated(shrink, goes_on, state, attempts)
    return t, candidate, value, accepts(t, value), evaluations


def strong_wolfe(evaluate, start, first, limit: int, *, curvature: bool = True):
    """A step t > 0 with f(t) ≤ f(0) + c₁·t·f'(0) and |f'(t)| ≤ c₂·|f'(0)|, by bracketing and zoom.

    `evaluate(t)` gives f(t), f'(t) and the gradient there; `start` is the same at 0, `first` the first t, `limit` the
    maximum number of evaluations. Without `curvature` the first condition is enough. Returns t, f, f' and gradient of
    the best point found (t = 0: none satisfies the first condition) and the number of evaluations.

    Nocedal and Wright's algorithms 3.5 and 3.6 are one loop here: `low` is the best point so far that satisfies the
    first condition, `high` the other end of the bracket, at infinity until a minimum is bracketed.
    """
    zero = 0.0 * first
    value, slope, _ = start
    rounding = epsilon(first.dtype) * abs(value)

    def goes_on(t, done, bracketed, evaluations, low, high):
        # In a narrow bracket the possible decrease is below the rounding error.
        narrow = bracketed & (abs((high[0] - low[0]) * slope) <= rounding)
        return (evaluations < limit) & ~(done | narrow)

    def narrow_down(t, done, bracketed, evaluations, low, high):
        new = (t, *evaluate(t))
        # Written so that NaN counts as too high.
        falls = (new[1] <= value + DECREASE * t * slope) & (new[1] < low[1])
        low_enough = falls & ops.isfinite(new[2])
        flat = abs(new[2]) <= -SLOPE * slope if curvature else low_enough
        done = low_enough & flat
        rises = low_enough & (new[2] * (high[0] - low[0]) >= 0)
        last = low[:3]
        high = choose(low_enough, choose(rises, last, high), new[:3])
        low = choose(low_enough, new, low)
        bracketed = bracketed | ~low_enough | rises
        return _next(low, high, last, bracketed), done, bracketed, evaluations + 1, low, high

    infinity = (zero + math.inf, zero, zero)
    state = (first, zero > 1, zero > 1, ops.zeros((), "int32"), (zero, *start), infinity)
    *_, evaluations, low, _ = repeated(narrow_down, goes_on, state)
    return *low, evaluations


def _next(low, high, last, bracketed):
    """The next t to try: the minimum of the cubic through two points and their slopes, kept within bounds."""
    a, b = low, choose(bracketed, high, last)
    width = b[0] - a[0]
    inner = (a[0] + INSET * width, a[0] + (1 - INSET) * width)
    outer = (a[0] - INSET * width, a[0] + FARTHEST * a[0])
    ends = choose(bracketed, inner, outer)
    smallest, largest = choose(ends[0] <= ends[1], ends, (ends[1], ends[0]))
    t = _cubic_minimum(a, b)
    middle = (smallest + largest) / 2
    t = choose(ops.isfinite(t), t, middle)
    return choose(t < smallest, smallest, choose(t > largest, largest, t))


def _cubic_minimum(a, b):
    """Nocedal and Wright, eq. 3.59; NaN if the cubic has no minimum."""
    (ta, fa, ma), (tb, fb, mb) = a[:3], b[:3]
    d1 = ma + mb - 3 * (fa - fb) / (ta - tb)
    d2 = ops.sign(tb - ta) * (d1 * d1 - ma * mb) ** 0.5
    return tb - (tb - ta) * (mb + d2 - d1) / (mb - ma + 2 * d2)
