"""Validation classes that are numbered apart from the training classes."""

from typing import Any

from keras_lecture.diagnosis._record.record import PROBE_SAMPLES
from keras_lecture.diagnosis._rules.harm import percent
from keras_lecture.diagnosis._rules.rule import Rule
from keras_lecture.diagnosis._rules.trends import finite

# The fewest samples that can tell.
_FEWEST = 50
_NAMES = ("accuracy", "renumbered")


def repaired(record: dict[str, Any]) -> tuple[int, float, float] | None:
    """`(step, accuracy, accuracy under other numbers)` of the validation data, if other class numbers repair them.

    In the last two probes: the training data are predicted well with their own numbers, the validation data with other
    numbers nearly as well, and the gain is 0.3 and 4.5 standard errors at least.
    """
    validation = (record.get("data") or {}).get("validation") or {}
    rows = min(PROBE_SAMPLES, validation.get("rows") or 0)
    outputs = (record.get("model") or {}).get("outputs") or []
    units = max(((output.get("shape") or [1])[-1] or 1 for output in outputs), default=1)
    probes = (record.get("probes") or [])[-2:]
    # With few samples for each class other numbers help by chance.
    if rows < max(_FEWEST, 5 * units) or len(probes) < 2 or not probes[0].get("step"):
        return None
    found = None
    for probe in probes:
        numbers = [finite((probe.get(part) or {}).get(name)) for part in ("train", "validation") for name in _NAMES]
        if None in numbers:
            return None
        own, other, accuracy, renumbered = numbers
        is_learned = own >= 0.6 and other - own <= 0.02
        if not is_learned or renumbered < max(0.6, 0.75 * own) or renumbered - accuracy < max(0.3, 4.5 * rows**-0.5):
            return None
        found = int(probe["step"]), accuracy, renumbered
    return found


def _renumbered(rule: Rule, record: dict[str, Any]):
    found = repaired(record)
    if found is None:
        return
    step, accuracy, renumbered = found
    yield rule.found(
        "The classes of the validation data are numbered apart from those of the training data.",
        {
            "validation accuracy": percent(accuracy),
            "with other class numbers": f"{percent(renumbered)} (fault: 30 % and 4.5 standard errors more)",
        },
        confidence=0.95,
        steps=(step, step),
    )


RULES = [
    Rule(
        "label-mismatch",
        "medium",
        "other class numbers do not raise the validation accuracy by 30 % and 4.5 standard errors while the training "
        "data are predicted well with their own",
        "It compares accuracies of one set of predictions.",
        "never: fewer than 50 validation rows, or five for each class, cannot tell and give no finding",
        "Deck A (training and test data of the same distribution)",
        "Encode the labels of both parts by one table, made from the training labels.",
        "classes, y = np.unique(y, return_inverse=True)\ny_val = np.searchsorted(classes, y_val)  # the same table",
        _renumbered,
    )
]
