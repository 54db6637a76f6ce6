"""Line searches: where along a direction a step may end."""

import math

from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture.optimizers._search.vectors import choose, descended, epsilon, repeated

# The two conditions: the part of the promised decrease, and the part of the slope that may be left.
DECREASE, SLOPE = 1e-4, 0.9
# A trial keeps this part of a bracket away from its ends, and steps at most so many times farther than before.
INSET, FARTHEST = 0.1, 10.0
# Backtracking gives up where a step is this small a part of the first one tried.
SMALLEST = 1e-10


@accelerate
def first_trial(last, longest, reset):
    """Where backtracking starts after a step of length `last` (0: none yet); `reset` is a factor or "full"."""
    again = longest if reset == "full" else ops.minimum(reset * last, longest)
    return ops.cast(ops.where(last > 0, again, longest), longest.dtype)


def backtrack(objective, weights, direction, loss, decrease, first, *, factor: float):
    """The first t = `first`, `factor`·`first`, … with f(w − td) ≤ f(w) − t·`decrease`.

    `loss` is f(w). Returns the last t tried, w − td, f there, whether it will do, and the number of evaluations.
    """

    def attempt(t):
        candidate = descended(weights, t, direction)
        return t, candidate, objective.value(candidate)

    def will_do(t, value):
        # TensorFlow 2.21 takes `not a <= b` for `a > b`, which differ where a is not a number.
        return ops.isfinite(value) & (value <= loss - t * decrease)

    def goes_on(t, candidate, value, evaluations):
        # From a start that is not finite no step will do.
        return ops.isfinite(loss + decrease) & ~will_do(t, value)

    def shrink(t, candidate, value, evaluations):
        return *attempt(factor * t), evaluations + 1

    attempts = math.ceil(math.log(SMALLEST) / math.log(factor))
    state = (*attempt(first), ops.ones((), "int32"))
    t, candidate, value, evaluations = repeated(shrink, goes_on, state, attempts)
    return t, candidate, value, will_do(t, value), evaluations


def strong_wolfe(evaluate, start, first, limit: int, *, curvature: bool = True):
    """A step t > 0 with f(t) ≤ f(0) + c₁·t·f'(0) and |f'(t)| ≤ c₂·|f'(0)|, by bracketing and zoom.

    `evaluate(t)` gives f(t), f'(t) and the gradient there; `start` is the same at 0, `first` the first t, `limit` the
    most evaluations. Without `curvature` the first condition is enough. Returns t, f, f' and gradient of the best point
    found (t = 0: none satisfies the first condition) and the number of evaluations.

    Nocedal and Wright's algorithms 3.5 and 3.6 are one loop here: `low` is the best point so far that satisfies the
    first condition, `high` the other end of the bracket, at infinity until a point turns up behind which f rises.
    """
    zero = 0.0 * first
    value, slope, _ = start
    rounding = epsilon(first.dtype) * abs(value)

    def goes_on(t, done, bracketed, evaluations, low, high):
        # What is left to gain in a narrow bracket drowns in rounding.
        narrow = bracketed & (abs((high[0] - low[0]) * slope) <= rounding)
        return (evaluations < limit) & ~(done | narrow)

    def narrow_down(t, done, bracketed, evaluations, low, high):
        new = (t, *evaluate(t))
        # Written so that a value that is not a number is too high.
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


def armijo_alone(evaluate, start, first, limit: int):
    """The same with the first condition alone."""
    return strong_wolfe(evaluate, start, first, limit, curvature=False)


def _next(low, high, last, bracketed):
    """Where to try next: the minimum of the cubic through two points and their slopes, kept within bounds."""
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
    """Nocedal and Wright, eq. 3.59; not a number where the cubic has none."""
    (ta, fa, ma), (tb, fb, mb) = a[:3], b[:3]
    d1 = ma + mb - 3 * (fa - fb) / (ta - tb)
    d2 = ops.sign(tb - ta) * (d1 * d1 - ma * mb) ** 0.5
    return tb - (tb - ta) * (mb + d2 - d1) / (mb - ma + 2 * d2)
