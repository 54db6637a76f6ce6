"""The formulas of the losses' docstrings and their derivatives in 60 digits; imports nothing from keras_lecture.

With 60 digits no formula needs a form that avoids cancellation.
"""

from mpmath import mp, mpf

mp.dps = 60
INF = mpf("inf")


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def _times(a, b):
    """a·b with 0·∞ = 0."""
    return mpf(0) if 0 in (a, b) else a * b


# φ(v) and φ′(v) of the margin v = y·f.
MARGIN_LOSSES = {
    "Logistic": (lambda v: INF if v == -INF else mp.log1p(mp.exp(-v)), lambda v: -_sigmoid(-v)),
    "Square": (lambda v: (1 - v) ** 2, lambda v: -2 * (1 - v)),
    "SquaredHinge": (lambda v: max(0, 1 - v) ** 2, lambda v: -2 * max(0, 1 - v)),
    "Exponential": (lambda v: mp.exp(-v), lambda v: -mp.exp(-v)),
    "Savage": (lambda v: _sigmoid(-v) ** 2, lambda v: -2 * _times(_sigmoid(-v) ** 2, _sigmoid(v))),
    "Tangent": (lambda v: (2 * mp.atan(v) - 1) ** 2, lambda v: 4 * _times(2 * mp.atan(v) - 1, 1 / (1 + v * v))),
}


def smooth_hinge(v, alpha):
    if v >= 1:
        return mpf(0), mpf(0)
    if v <= 0:
        return mpf(alpha) / (alpha + 1) - v, mpf(-1)
    return v ** (mpf(alpha) + 1) / (alpha + 1) - v + mpf(alpha) / (alpha + 1), v**alpha - 1


def binary_cross_entropy(y, s):
    right, wrong = _sigmoid(s), _sigmoid(-s)
    value = -_times(y, mp.log(right) if right else -INF) - _times(1 - y, mp.log(wrong) if wrong else -INF)
    return value, right - y


def distance(power, y, f):
    """|f − y|^`power` and its derivative."""
    gap = f - y
    return abs(gap) ** power, mp.sign(gap) if power == 1 else 2 * gap


def cross_entropy(q, s):
    """−Σ q·log p with 0·(−∞) = 0, and p·Σq − q."""
    e = [mp.exp(score - max(s)) for score in s]
    p = [x / sum(e) for x in e]
    log_p = [-INF if x == 0 else mp.log(x) for x in p]
    value = -sum((_times(share, log) for share, log in zip(q, log_p, strict=True)), mpf(0))
    return value, [x * sum(q) - share for x, share in zip(p, q, strict=True)]


def hinge(y, s, margin):
    """Σ_{k≠y} max(0, s_k − s_y + Δ) and its derivatives."""
    leads = [mpf(0) if k == y else max(0, score - s[y] + margin) for k, score in enumerate(s)]
    slope = [mpf(lead > 0) for lead in leads]
    slope[y] = -sum(slope)
    return sum(leads, mpf(0)), slope
