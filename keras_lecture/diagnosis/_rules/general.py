"""The general symptom that explains missing progress where no specific one leads."""

from keras_lecture.diagnosis._record.record import Record
from keras_lecture.diagnosis._rules.causes import has_exploded, has_other_cause, leading, nonfinite_steps
from keras_lecture.diagnosis._rules.evidence import progress
from keras_lecture.diagnosis._rules.trends import is_plateau, late_fall, oscillation

_LINEAR = (None, "linear")
# A run of fewer steps is short, whatever the learning rate.
FEW_STEPS = 100


def general_cause(record: Record) -> str | None:
    """The id of one of the general rules, or `None` if the run makes progress or has a named cause."""
    state = progress(record)
    if has_other_cause(record) or leading(record) is not None or nonfinite_steps(record):
        return None
    if not (record.get("model") or {}).get("losses"):
        # Without a compiled loss it is unknown how far the loss could fall.
        return None
    if has_exploded(record):
        return "exploding-loss"
    planned = state.steps / state.run if state.run else state.steps
    if _is_cut(record, state):
        return "cut-short" if planned <= FEW_STEPS else "slow-learning"
    if not state.stuck:
        return None
    cosine = median_cosine(record)
    if cosine is not None and cosine < -0.5:
        return "zig-zag"
    swing = oscillation(record)
    if swing is not None and swing[0] >= 0.2 and swing[1] >= 0.5:
        return "oscillating-loss"
    if state.falling:
        return None if _arrives(record, state) else "slow-learning"
    if not is_plateau(record):
        return None
    return "too-little-capacity" if capacity_hint(record) else "underfit"


def _is_cut(record, state):
    """Whether the run ends with little progress while the loss falls along a line or faster."""
    late = late_fall(record)
    is_short = state.stage == "none" or (state.stage == "little" and (state.share or 0.0) < 0.15)
    return bool(state.falling and is_short and (state.run or 0.0) >= 0.99 and late is not None and late >= 0.3)


def _arrives(record, state):
    """Whether the run is short rather than slow.

    A fifth of the way down is done, and at the last pace twice as many steps more reach a constant prediction, which
    may be a good one: the mean image of a segmentation.
    """
    late = late_fall(record)
    if late is None or None in (state.start, state.now, state.reference):
        return False
    fall, whole = state.start - state.now, state.start - (state.floor or 0.0)
    return fall >= 0.2 * whole and 6 * late * fall >= state.now - state.reference


def median_cosine(record: Record) -> float | None:
    """Median cosine between consecutive updates."""
    cosines = sorted(float(step["cosine"]) for step in record.get("steps") or [] if step.get("cosine") is not None)
    return cosines[len(cosines) // 2] if cosines else None


def capacity_hint(record: Record) -> str | None:
    """The limit in the structure of the model: no hidden layer, no activation, or a narrow layer."""
    layers = (record.get("model") or {}).get("layers") or []
    if not layers:
        return None
    inner = [layer for layer in layers if not layer.get("is_output")]
    hidden = [layer for layer in inner if any(w.get("role") == "kernel" for w in layer.get("weights") or [])]
    if not hidden:
        return "the model has no hidden layer with a kernel"
    if all(layer.get("activation") in _LINEAR for layer in inner):
        return "no hidden layer has an activation, so the model is linear"
    # A convolution has its channels at each position, which together are no narrow place.
    flat = [layer for layer in hidden if len(layer.get("shape") or ()) <= 1] or hidden[-1:]
    width, outputs = min(layer.get("units") or 1 for layer in flat), _output_units(record)
    if width <= 2 or width < outputs <= 100:
        units = "unit" if width == 1 else "units"
        return f"the narrowest hidden layer has {width} {units} for {outputs} {'output' if outputs == 1 else 'outputs'}"
    return None


def _output_units(record):
    """The number of units of the widest output."""
    outputs = (record.get("model") or {}).get("outputs") or []
    return max(((output.get("shape") or [1])[-1] or 1 for output in outputs), default=1)
