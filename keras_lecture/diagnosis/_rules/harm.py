"""Evidence of harm, by which rules decide whether a suspicious fact is a serious one."""

import math
from typing import Any


def value(source: Any, *keys: str) -> float | None:
    """The number at `keys` in nested dicts; `None` if it is missing. Text such as "nan" is a number, too."""
    for key in keys:
        source = source.get(key) if isinstance(source, dict) else None
    if source is None or isinstance(source, bool | dict | list):
        return None
    try:
        return float(source)
    except (TypeError, ValueError):
        return None


def data_loss(state: dict[str, Any] | None) -> float | None:
    """The loss of the start or of a probe without the penalties on weights."""
    loss, penalty = value(state, "loss"), value(state, "regularization")
    return loss if loss is None or not penalty else loss - penalty


def layers(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The leaf layers of the model, in call order."""
    return record.get("model", {}).get("layers") or []


def has_kernel(layer: dict[str, Any]) -> bool:
    """Whether the layer has a kernel."""
    return any(weight.get("role") == "kernel" for weight in layer.get("weights") or ())


def consumers(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The layers behind each layer."""
    found = {layer["name"]: [] for layer in layers(record)}
    for layer in layers(record):
        for name in layer.get("sources") or ():
            found.setdefault(name, []).append(layer)
    return found


def start_against_chance(record: dict[str, Any]) -> float | None:
    """The loss before the first step, divided by that of the best constant prediction."""
    loss, chance = data_loss(record.get("start")), value(record, "start", "chance", "loss")
    if loss is None or chance is None or not chance > 1e-12:
        return None
    return loss / chance if math.isfinite(loss) else math.inf


def last_probe(record: dict[str, Any]) -> dict[str, Any] | None:
    """The latest probe after training has begun."""
    later = [probe for probe in record.get("probes") or [] if probe.get("step", 0) > 0]
    return later[-1] if later else None


def steps_of(record: dict[str, Any]) -> tuple[int, int]:
    """The steps between which the record was written."""
    probe = last_probe(record)
    return (0, int(probe["step"]) if probe else 0)


def is_nonfinite(record: dict[str, Any]) -> bool:
    """Whether a loss of the run was not finite."""
    seen = [value(record, "start", "loss")]
    seen += [value(probe, "train", "loss") for probe in record.get("probes") or []]
    seen += [value(epoch, "logs", "loss") for epoch in record.get("epochs") or []]
    return any(loss is not None and not math.isfinite(loss) for loss in seen)


def is_stuck(record: dict[str, Any], share: float = 0.9, epochs: int = 3) -> bool | None:
    """Whether the training loss is still at least `share` of the best constant's; `None` before so many epochs."""
    probe, chance = last_probe(record), value(record, "start", "chance", "loss")
    loss = data_loss((probe or {}).get("train"))
    if probe is None or chance is None or loss is None or (value(probe, "epoch") or 0) + 1 < epochs:
        return None
    return not loss < share * chance


def percent(share: float) -> str:
    """A share as text, with more digits where it is small."""
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.2g} %"
