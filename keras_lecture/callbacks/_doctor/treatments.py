"""The treatments that need no new model, by the rule whose finding they answer.

A treatment changes the model and returns its `Change`s, or raises `Refused`. Learning rates, clipping and rescaled
kernels are compared in `Trials` with no treatment and are refused unless the loss falls clearly further; kernels of a
model that has learned nothing, only if it is clearly higher.
"""

import math
from collections.abc import Callable

import numpy as np
from keras import ops

from keras_lecture._core.weights import weights
from keras_lecture.callbacks._doctor.clipping import OFF
from keras_lecture.callbacks._doctor.refusal import Refused
from keras_lecture.callbacks._doctor.revival import revive
from keras_lecture.callbacks._doctor.situation import Change, Situation, is_better, undoing
from keras_lecture.callbacks._doctor.standardizing import standardize
from keras_lecture.callbacks._doctor.state import State, slots
from keras_lecture.callbacks._doctor.trials import STEPS
from keras_lecture.diagnosis._rules.causes import has_nonfinite_data, nonfinite_at_start
from keras_lecture.diagnosis._rules.evidence import progress
from keras_lecture.diagnosis._rules.trends import finite
from keras_lecture.initializers import Kaiming, initialize, rescale

# Half decades, up to a factor of 10⁵.
_HIGHER = [10 ** (k / 2) for k in range(1, 11)]
_LOWER = [1 / factor for factor in _HIGHER]
# Short trials favor rates at the edge of stability: half a decade below the best rate is chosen if the loss falls
# nearly as far there. A rate that was too low has cost time that a larger one regains.
_SLACK_DOWN, _SLACK_UP = 0.25, 0.05


def lowered_after_return(s: Situation) -> list[Change]:
    """Takes the model back to its latest healthy state, and lowers the rate to one with which it learns from there."""
    if s.rate.obstacle:
        raise Refused(s.rate.obstacle)
    if has_nonfinite_data(s.record) or nonfinite_at_start(s.record):
        raise Refused("the data or the first outputs are not finite, which no rate mends")
    if not s.may_return:
        raise Refused("the model was taken back several times already")
    losses = s.record["losses"]["values"]
    now = float(np.mean([float(loss) for loss in losses[-max(1, len(losses) // 8) :]])) if losses else math.nan
    if s.finding.rule == "exploding-loss" and losses and now < min(0.0, float(losses[0])):
        raise Refused("the loss falls below zero without end, which no rate mends")
    if s.finding.rule == "exploding-loss" and now <= s.kept_loss:
        raise Refused("the loss has not risen above that of an earlier state")
    level = s.rate.level = s.rate.level
    factor, loss, reference = _best_rate(s, _LOWER, level, s.kept.put_back)
    if not is_better(loss, reference):
        raise Refused("no lower rate lets the loss fall from the latest healthy state")
    before, value = State(s.model), s.rate.value
    s.kept.put_back()
    s.rate.level = level
    restored, start = s.rate.value, s.kept_loss
    s.rate.level = level * factor
    text = f"The weights, statistics and optimizer are those of the state with a loss of {start:.3g} again."
    return [
        Change("restore", text, undoing(s, before), before=finite(now), after=finite(start)),
        _rate_change(s, value if math.isclose(value, restored) else restored, level),
    ]


def lowered(s: Situation) -> list[Change]:
    """Lowers the rate if the loss then falls further."""
    return _moved(s, _LOWER)


def raised(s: Situation) -> list[Change]:
    """Raises a rate that only the optimizer has set, if the loss then falls further; a schedule at most to itself."""
    factors = _HIGHER
    if not s.rate.obstacle and not s.rate.is_fixed:
        factors = [factor for factor in _HIGHER if s.rate.level * factor <= 1.001]
        if not factors:
            raise Refused("a schedule that has fallen too low cannot be mended by a factor")
    elif not s.rate.obstacle:
        seen = {step.get("learning_rate") for step in s.record["steps"]} - {None}
        if any(not math.isclose(float(rate), s.rate.value, rel_tol=1e-3) for rate in seen):
            raise Refused("another callback changes the learning rate")
    return _moved(s, factors)


def raised_at_once(s: Situation) -> list[Change]:
    """Raises a rate with which nothing happens, if with another one the loss falls by a third within a trial."""
    if s.rate.is_fixed:
        return _moved(s, _HIGHER, 2 / 3)
    raise Refused("a schedule may begin with a small rate")


def _moved(s, factors, share=None):
    """Sets the rate of the best trial, if its loss is better than the present rate's, or at most this share of it."""
    if s.rate.obstacle:
        raise Refused(s.rate.obstacle)
    level = s.rate.level = s.rate.level
    present = s.trials.loss(lambda: None)
    factor, loss, _ = _best_rate(s, factors, level, lambda: None)
    if not is_better(loss, present) or (share is not None and not 0 <= loss <= share * present):
        raise Refused(f"no other rate lowers the loss further within {STEPS} steps")
    value = s.rate.value
    s.rate.level = level * factor
    return [_rate_change(s, value, level)]


def _rate_change(s, before, level):
    def undo():
        s.rate.level = level

    after = s.rate.value
    text = (
        f"The learning rate is {after:.3g} in place of {before:.3g}: of the rates tried for {STEPS} steps on "
        f"{s.trials.rows} samples it has the lowest loss, or nearly so."
    )
    return Change("learning-rate", text, undo, before=before, after=after)


def _best_rate(s, factors, level, prepare):
    """The factor of the best trial, its loss, and the loss without any step."""

    def trial(factor, **options):
        def begin():
            prepare()
            s.rate.level = level * factor

        try:
            return s.trials.loss(begin, **options)
        finally:
            s.rate.level = level

    reference = trial(0.0, epochs=1)
    found, worse = {}, 0
    for factor in factors:
        found[factor] = trial(factor)
        best = min(found.values())
        worse = worse + 1 if found[factor] > best and is_better(best, reference) else 0
        if worse == 2:
            break
    best = min(found, key=found.get)
    if not is_better(found[best], reference):
        return 1.0, found[best], reference
    slack = _SLACK_DOWN if min(factors) < 1 else _SLACK_UP
    bound = found[best] + slack * (reference - found[best])
    nearly = [factor for factor, loss in found.items() if best / 4 < factor < best and loss <= bound]
    factor = min([best, *nearly])
    return factor, found[factor], reference


def clipped(s: Situation) -> list[Change]:
    """Clips the norm of the gradient at the one of healthy steps, or at a tenth or a hundredth of it."""
    norms = [norm for norm in map(_gradient_norm, s.record["probes"]) if norm]
    if not norms:
        raise Refused("no gradient is known by which the limit could be chosen")
    before = s.clip.limit
    s.clip.limit = before
    base = s.kept.put_back if s.may_return else lambda: None
    reference = s.trials.loss(base)
    found = {}
    for limit in (norms[0], norms[0] / 10, norms[0] / 100):
        found[limit] = s.trials.loss(lambda limit=limit: (base(), setattr(s.clip, "limit", limit)))
    limit = min(found, key=found.get)
    if not is_better(found[limit], reference):
        raise Refused("the loss falls no further with clipped gradients")
    state, present = State(s.model), s.record["losses"]["values"]
    base()
    s.clip.limit = limit
    text = f"The norm of the gradient is clipped at {limit:.3g}; at the start it was {norms[0]:.3g}."

    def undo():
        s.clip.limit = before

    change = Change("clipping", text, undo, None if before == OFF else before, limit)
    if not s.may_return:
        return [change]
    back = f"The weights, statistics and optimizer are those of the state with a loss of {s.kept_loss:.3g} again."
    before, after = finite(present[-1] if present else None), finite(s.kept_loss)
    return [Change("restore", back, undoing(s, state), before, after), change]


def rescaled(s: Situation) -> list[Change]:
    """Rescales the kernels of a model that has learned nothing, so that signals have unit variance in each layer."""
    if progress(s.record).stage not in ("none", "unknown"):
        raise Refused("the model has learned something that new kernels would destroy")
    if any(not w.variable.trainable or not w.layer.trainable for w in weights(s.model) if w.role == "kernel"):
        raise Refused("some of the kernels are frozen")

    outputs = {layer["name"] for layer in s.record["model"]["layers"] if layer["is_output"]}
    ways = {
        "each layer": lambda: len(rescale(s.model, s.x, verbose=0)),
        "each unit": lambda: standardize(s.model, s.x, outputs),
    }
    reference = s.trials.loss(lambda: None)
    losses = {name: s.trials.loss(lambda way=way: (s.kept.put_back(), way())) for name, way in ways.items()}
    best = min(losses, key=losses.get)
    # Where nothing was learned because signals die out, nothing is lost: a long way may begin with a plateau.
    is_safe = s.finding.rule != "zero-gradient" and not is_better(reference, losses[best])
    if not (is_better(losses[best], reference) or (is_safe and math.isfinite(losses[best]))):
        raise Refused("the loss falls no further with rescaled kernels")
    before = State(s.model)
    s.kept.put_back()
    count = ways[best]()
    text = f"The kernels of {count} layers were rescaled so that the signals of {best} have unit variance."
    return [Change("rescale", text, undoing(s, before))]


def redrawn(s: Situation) -> list[Change]:
    """Draws the kernels of hidden layers again whose units are all equal."""
    outputs = {layer["name"] for layer in s.record["model"]["layers"] if layer["is_output"]}
    chosen = [w for w in weights(s.model) if w.role == "kernel" and not w.depthwise and w.layer.name not in outputs]
    chosen = [w.variable for w in chosen if w.variable.trainable and w.layer.trainable and _has_equal_units(w.variable)]
    if not chosen:
        raise Refused("no kernel with equal units can be drawn again")
    before, ids = State(s.model), {id(variable) for variable in chosen}
    initialize(s.model, Kaiming(seed=0), lambda variable: id(variable) in ids)
    for variable in chosen:
        for slot in slots(s.model.optimizer, variable):
            slot.assign(np.zeros(tuple(slot.shape)))
    return [Change("rescale", f"{len(chosen)} kernels with equal units were drawn again.", undoing(s, before))]


def _has_equal_units(variable):
    values = np.asarray(ops.convert_to_numpy(variable))
    columns = values.reshape(-1, values.shape[-1])
    return columns.shape[1] > 1 and bool(np.all(columns == columns[:, :1]))


def revived(s: Situation) -> list[Change]:
    """Revives the dead units of all layers in which the record shows most of the units dead, in call order."""
    before, found, reasons = State(s.model), [], []
    rows = s.record["probes"][-1]["layers"]
    names = [r["layer"] for r in rows if r.get("units") and (finite(r.get("dead")) or 0) / r["units"] >= 0.25]
    for name in names:
        try:
            found.append((name, *revive(s.model, s.record, name, s.x)))
        except Refused as refused:
            reasons.append(str(refused))
    if not found:
        raise Refused("; ".join(dict.fromkeys(reasons)) or "no layer with dead units was found")
    parts = ", ".join(f"{dead} of {units} units of {name}" for name, dead, units in found)
    text = f"New incoming weights, and outgoing weights of 0, for {parts}: they were at rest on every sample."
    return [Change("revive", text, undoing(s, before), layer=found[0][0])]


def _gradient_norm(probe):
    parts = [finite(w.get("gradient")) for row in probe["layers"] for w in row.get("weights") or []]
    return math.sqrt(sum(part**2 for part in parts if part is not None)) if parts and None not in parts else None


# In the order in which they are tried: a cause at the start before its consequences.
TREATMENTS: dict[str, tuple[Callable[[Situation], list[Change]], ...]] = {
    "symmetric-units": (redrawn,),
    "exploding-gradient": (rescaled, clipped, lowered_after_return),
    "growing-signal": (rescaled,),
    "shrinking-signal": (rescaled,),
    "vanishing-gradient": (rescaled,),
    "dead-relu": (revived,),
    "zero-gradient": (redrawn, revived, rescaled),
    "saturation": (rescaled,),
    "non-finite": (lowered_after_return,),
    "exploding-loss": (lowered_after_return,),
    "learning-rate-too-high": (lowered_after_return,),
    "oscillating-loss": (lowered,),
    "zig-zag": (lowered,),
    "cannot-fit-one-batch": (lowered, raised_at_once),
    "learning-rate-too-low": (raised,),
    "slow-learning": (raised,),
}
