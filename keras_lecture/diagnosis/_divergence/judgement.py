"""Two recordings side by side: every quantity with its difference and the allowed one, and the first divergence.

Three criteria, with r the larger |own − float64| of the two runs, s the largest magnitude in the tensor, and ε the
spacing of the numbers at 1:

    formula     |a₆₄ − b₆₄| ≤ 2⁻¹³ r + 2¹⁶ ε₆₄ s       float64 leaves no doubt, whatever the model's own precision is
    precision   one run is ≤ 256 times as far from float64 as the other one
    own         |a − b| ≤ 4 (rₐ + r_b + ε s)           where there is no float64 on both sides, or no real one

A layer may compute in float32 in spite of all (an operation or a constant of the framework, a cast in its code). Its
float64 differs by more than float64 rounds, but by no more than 4 ε₃₂ s, or 2 r of a model in float32: from there on
the third criterion counts. In the optimizer's step, ε₃₂/(1 − β) s is added, β the setting nearest below 1: rounded to
float32, as TensorFlow does it, β = 0.999 gives another 1 − β, and slots that are 1e-5 apart.
"""

import difflib
from typing import NamedTuple

import numpy as np

from keras_lecture.diagnosis._divergence.quantities import Quantity
from keras_lecture.diagnosis._divergence.recording import Recording
from keras_lecture.diagnosis._facts.recorded_pass import epsilon

_FORMULA, _FORMULA_SCALE = 2.0**-13, 2.0**16 * epsilon("float64")
_NOT_DOUBLE = 4 * epsilon("float32")
_OWN = 4.0
_PRECISION = 256.0
# A gradient differs by more than rounding at a kink (a ReLU at zero): only its typical entry tells of precision.
_TYPICAL_GRADIENT = 1e-2
# Without any calibration.
_UNCALIBRATED = 1e3
# A tensor that is zero but for rounding is measured by the largest one of its kind.
_FLOOR = 1e-3
# A learning rate is a variable in float32, so the same number may be read as 0.1 and as 0.10000000149.
_SAME_SETTING = 1e-6


class Compared(NamedTuple):
    """A quantity in both runs; `reason` is one of `result.REASONS` or `"random"`."""

    stage: str
    mode: str
    layer: str
    kind: str
    name: str
    difference: float
    allowed: float
    scale: float
    agrees: bool
    reason: str
    within: str

    @property
    def ratio(self) -> float:
        """Difference over allowed difference."""
        return self.difference / self.allowed if self.allowed else (np.inf if self.difference else 0.0)


def weights(one: Recording, other: Recording) -> list[Compared]:
    """The weights: equal, or of one precision apart."""
    rows = []
    for index in range(max(len(one.weights), len(other.weights))):
        a, b = (each.weights[index] if index < len(each.weights) else None for each in (one, other))
        given = b or a
        difference, allowed, reason = np.inf, 0.0, "shape"
        if a is not None and b is not None and a.values.shape == b.values.shape:
            difference, reason = _apart(a.values, b.values), "formula"
            allowed = 0.0 if a.dtype == b.dtype else max(epsilon(a.dtype), epsilon(b.dtype)) * _largest(a.values)
        scale = _largest(given.values)
        agrees = difference <= allowed
        rows.append(
            Compared("weights", "", given.layer, "weight", given.path, difference, allowed, scale, agrees, reason, "")
        )
    return rows


def inputs(one: Recording, other: Recording) -> list[Compared]:
    """The arrays of the batch."""
    rows = []
    for name, a, b in zip(("x", "y", "sample_weight"), one.batch, other.batch, strict=True):
        parts = _leaves(a), _leaves(b)
        if len(parts[0]) != len(parts[1]) or any(p.shape != q.shape for p, q in zip(*parts, strict=True)):
            rows.append(Compared("input", "", name, "input", name, np.inf, 0.0, 0.0, False, "shape", ""))
            continue
        for p, q in zip(*parts, strict=True):
            difference = _apart(p.astype("float64"), q.astype("float64"))
            agrees = difference == 0.0
            rows.append(Compared("input", "", name, "input", name, difference, 0.0, _largest(q), agrees, "own", ""))
    return rows


def settings(one: Recording, other: Recording) -> list[Compared]:
    """The optimizer's settings that both runs have; versions of Keras may have others.

    A small one, such as a weight decay of 1e-4 in Adam, moves the weights by less than float32 rounds, so the steps
    alone do not show it.
    """
    both = [name for name in one.settings if name in other.settings]
    return [_setting(name, one.settings[name], other.settings[name]) for name in both]


def _setting(name, a, b):
    scale, difference = 0.0, 0.0 if a == b else np.inf
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in (a, b)):
        scale, difference = max(abs(a), abs(b)), abs(a - b)
    allowed = _SAME_SETTING * scale
    agrees = difference <= allowed
    label = name if agrees else f"{name}, {a!r} and {b!r}"
    return Compared("step", "", "optimizer", "setting", label, difference, allowed, scale, agrees, "setting", "")


def quantities(one: Recording, other: Recording) -> tuple[list[Compared], list[str]]:
    """All quantities that both runs have, and notes."""
    positions, notes = _aligned(one, other)
    theirs = {_key(each, positions): each for each in other.quantities}
    pairs = [(each, theirs[_key(each)]) for each in one.quantities if _key(each) in theirs]
    largest: dict[tuple[str, str], float] = {}
    for a, b in pairs:
        if not (a.random or b.random):
            key = a.stage, a.kind.removeprefix("input ").removeprefix("output ")
            largest[key] = max(largest.get(key, 0.0), a.scale, b.scale)
    rows, is_double = [], {"forward": True, "step": True}
    slack = _of_complement(one.settings)
    for a, b in pairs:
        stage = "step" if a.stage == "step" else "forward"
        floor = _FLOOR * largest.get((a.stage, a.kind.removeprefix("input ").removeprefix("output ")), 0.0)
        row, stays = _compared(a, b, floor, is_double[stage], slack if a.stage == "step" else 0.0)
        if is_double[stage] and not stays:
            is_double[stage] = False
            notes.append(f"Compared in the model's own precision from {row.layer} on, which is not quite in float64.")
        rows.append(row)
    lost = next((a for a, _ in pairs if _has_no_number(a.own)), None)
    if lost is not None:
        notes.append(f"No entry of the {lost.kind} of {lost.layer} is finite: from there on nothing was compared.")
    return rows + _missing(one, other), notes


def _of_complement(settings):
    """ε₃₂/(1 − β): how far 1 − β is off, relative to itself, if β is rounded to float32."""
    near = [v for v in settings.values() if isinstance(v, float) and 0.5 < v < 1]
    return epsilon("float32") / (1 - max(near)) if near else 0.0


def _has_no_number(array):
    return array is not None and array.dtype.kind == "f" and array.size > 0 and not np.isfinite(array).any()


def _key(quantity, positions=None):
    position = quantity.position
    if positions and quantity.mode in positions:
        position = positions[quantity.mode].get(position, -1 - position)
    return quantity.stage, quantity.mode, quantity.kind, position, quantity.index


def _missing(one, other):
    """A weight that only one run trains is a difference of the step."""
    updates = [{_key(q): q for q in each.quantities if q.kind == "update"} for each in (one, other)]
    alone = [q for mine, theirs in (updates, updates[::-1]) for key, q in mine.items() if theirs and key not in theirs]
    return [Compared("step", "", q.layer, q.kind, q.name, np.inf, 0.0, q.scale, False, "missing", "") for q in alone]


def _aligned(one, other):
    """For each mode in which the numbers of calls differ: the other run's positions → this run's; and notes."""
    positions, notes = {}, []
    for mode in ("inference", "training"):
        calls = [
            {q.position: (q.kind_of_layer, q.layer) for q in each.quantities if q.mode == mode and q.kind == "output"}
            for each in (one, other)
        ]
        if len(calls[0]) == len(calls[1]):
            continue
        keys = [list(each) for each in calls]
        kinds = [[kind for kind, _ in each.values()] for each in calls]
        blocks = difflib.SequenceMatcher(None, kinds[0], kinds[1], autojunk=False).get_matching_blocks()
        pairs = [(keys[1][b.b + i], keys[0][b.a + i]) for b in blocks for i in range(b.size)]
        positions[mode] = dict(pairs)
        for side, matched, name in ((0, {p for _, p in pairs}, "first"), (1, {p for p, _ in pairs}, "second")):
            alone = [layer for position, (_, layer) in calls[side].items() if position not in matched]
            if alone and mode == "inference":
                notes.append(f"Only in the {name} run: {', '.join(alone)}.")
    return positions, notes


def _compared(a: Quantity, b: Quantity, floor: float, is_double: bool, slack: float) -> tuple[Compared, bool]:
    """The row, and whether float64 remains a criterion; `slack` is allowed beyond rounding, relative to the size."""
    scale = max(a.scale, b.scale)

    def row(difference, allowed, reason):
        agrees = reason == "random" or bool(difference <= allowed)
        head = b.stage, b.mode, b.layer, b.kind, b.name
        return Compared(*head, float(difference), float(allowed), scale, agrees, reason, b.within)

    if a.random or b.random:
        return row(0.0, 0.0, "random"), is_double
    if a.shape != b.shape:
        return row(np.inf, 0.0, "shape"), is_double
    exact = is_double and a.double is not None and b.double is not None
    if exact:
        difference = _apart(a.double, b.double)
        size = max(scale, floor)
        allowed = _FORMULA * max(a.rounding, b.rounding) + _FORMULA_SCALE * size
        if difference > max(allowed, _not_double(a, b, size) + slack * size):
            return row(difference, allowed, "formula"), is_double
        if difference <= allowed:
            found = row(difference, allowed, "formula")
            worse = _precision(a, b, max(a.middle, b.middle))
            return (row(*worse, "precision") if worse else found), True
    difference = _apart(a.own, b.own)
    size = max(scale, floor)
    return row(difference, _own_allowed(a, b, size) + slack * size, "own"), is_double and not exact


def _not_double(a, b, size):
    """How far two results in float64 may differ if a framework rounded a constant or a tensor to float32."""
    spacing = max(epsilon(each.dtype or "float32") for each in (a, b))
    calibrated = 2 * max(a.rounding, b.rounding) * epsilon("float32") / spacing
    return max(_NOT_DOUBLE * size, calibrated)


def _own_allowed(a, b, scale):
    unit = max(epsilon(each.dtype or "float32") for each in (a, b)) * scale
    if a.own.dtype.kind != "f":
        return 0.0
    known = [each.rounding for each in (a, b) if each.rounding is not None]
    if not known:
        return _UNCALIBRATED * unit
    return _OWN * (2 * max(known) + unit)


def _precision(a, b, middle):
    """`(typical error of the worse run, allowed)` if one run is far less precise than the other one."""
    if a.kind not in ("output", "input", "input gradient", "output gradient"):
        return None
    floor = min(epsilon(each.dtype or "float32") for each in (a, b)) * middle
    allowed = _PRECISION * (min(a.typical, b.typical) + floor)
    if a.stage == "backward":
        allowed += _TYPICAL_GRADIENT * middle
    worse = max(a.typical, b.typical)
    return (worse, allowed) if worse > allowed else None


def _apart(a, b):
    """The largest difference; infinite if other entries are infinite or NaN."""
    if a.shape != b.shape:
        return np.inf
    if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
        return 0.0 if np.array_equal(a, b) else np.inf
    a, b = a.astype("float64"), b.astype("float64")
    finite = np.isfinite(a)
    if not np.array_equal(np.where(finite, 0.0, a), np.where(np.isfinite(b), 0.0, b), equal_nan=True):
        return np.inf
    return float(np.abs(a[finite] - b[finite]).max(initial=0.0))


def _largest(array):
    values = np.abs(array[np.isfinite(array)].astype("float64"))
    return float(values.max(initial=0.0))


def _leaves(structure):
    if structure is None:
        return []
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in _leaves(structure[key])]
    if isinstance(structure, list | tuple):
        return [leaf for part in structure for leaf in _leaves(part)]
    return [structure]
