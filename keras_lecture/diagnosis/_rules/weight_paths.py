"""Weights that Keras cannot tell apart on PyTorch."""

from typing import Any

from keras_lecture._core.listing import listed
from keras_lecture.diagnosis._rules.rule import Rule


def shared_weight_path(rule: Rule, record: dict[str, Any]):
    """Trainable weights with one path, of which `zero_grad` reaches only one."""
    model = record.get("model") or {}
    paths = model.get("shared_paths")
    if paths is None:
        yield rule.unknown("the paths of the weights are not known", "a record of this version")
        return
    if not paths:
        return
    # An own `train_step` may compute its gradients without `backward`.
    is_own = bool(model.get("custom_train_step"))
    yield rule.found(
        f"Several weights have the path {listed(paths)}, and Keras on PyTorch sets the gradient of only one of them to "
        "zero: those of the others add up from step to step.",
        {"paths of weights out of reach of zero_grad": f"{len(paths)} (healthy: 0)"},
        severity="low" if is_own else rule.severity,
        confidence=0.6 if is_own else 0.99,
        layer=paths[0],
    )


RULES = [
    Rule(
        "shared-weight-path",
        "high",
        "no two trainable weights have one path, or `zero_grad` reaches both (PyTorch only)",
        "It tests identity.",
        "a record of an earlier version",
        "Deck A (gradient descent: the gradient of this step)",
        "Build each part of the model under its own name scope, or give the layers different names.",
        'with keras.name_scope("second"):\n    hidden = keras.layers.Dense(8, name="same")(inputs)',
        shared_weight_path,
    )
]
