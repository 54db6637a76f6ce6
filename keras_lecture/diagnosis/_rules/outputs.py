"""Rules about the output layer and the loss: do the last activation, `from_logits` and the targets agree?"""

import re
from typing import Any

from keras_lecture.diagnosis._rules import labels, renumbered
from keras_lecture.diagnosis._rules.causes import CLASS_KINDS
from keras_lecture.diagnosis._rules.heads import Head, heads
from keras_lecture.diagnosis._rules.layer_code import own_name
from keras_lecture.diagnosis._rules.rule import Rule

# The interval of the values of an activation.
RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, float("inf")),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, float("inf")),
    "exponential": (0.0, float("inf")),
}


def output_loss_mismatch(rule: Rule, record: dict[str, Any]):
    """The first contradiction of each output, the most serious one first."""
    for head in heads(record):
        if head.family in (None, "other") and not head.is_single_softmax:
            yield rule.unknown(f"the loss of {head.name} is none that this rule knows", "a loss of Keras")
            continue
        found = next(iter(_contradictions(head)), None)
        if found is None:
            continue
        cause, severity, cure, code = found
        yield rule.found(
            cause,
            {
                "last activation": f"{head.activation or 'unknown'}, {head.units} unit{'s' * (head.units != 1)}",
                "loss": f"{head.loss}, from_logits={head.from_logits}",
            },
            severity=severity,
            confidence=0.95 if severity == "high" else 0.85,
            layer=head.layer,
            cure=cure,
            code=re.sub(r"(keras\.layers\.Dense\([^()]*)\)", rf"\g<1>{own_name(head.layer)})", code),
        )


def _contradictions(head: Head):
    if head.is_single_softmax:
        cause = f"A softmax over one unit is always 1, so that {head.name} is constant."
        if head.family in ("squared", "absolute") and head.kind not in CLASS_KINDS:
            yield cause, "high", "Use a linear unit for numbers.", "keras.layers.Dense(1)"
        yield cause, "high", "Use one unit with a sigmoid, or one unit for each class.", _one_unit(head)
    if head.family in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        yield from _categorical(head)
    if head.family == "binary_crossentropy":
        yield from _binary(head)
    if head.family in ("squared", "absolute"):
        yield from _regression(head)
    if head.family == "hinge":
        yield from _hinge(head)


def _categorical(head):
    if head.units == 1:
        cause = "A categorical cross entropy over one unit is constant: there is no other class."
        yield cause, "high", "Use one unit for each class, or the binary cross entropy.", _one_unit(head)
    if head.activation == head.before == "softmax" and (head.units or 0) > 1:
        cause = f"{head.name.capitalize()} passes two softmaxes, of which the second levels the probabilities."
        yield cause, "medium", "Remove one of them.", f'keras.layers.Dense({head.units}, activation="softmax")'
    if head.from_logits and head.is_softmax:
        cause = f"{head.loss} expects scores, as from_logits=True, but {head.name} has already passed a softmax."
        yield cause, "medium", "Remove the softmax, or set from_logits=False.", _logits(head)
    if head.from_logits and head.activation in ("sigmoid", "relu", "tanh"):
        cause = f"{head.loss} expects unbounded scores, but the last activation is {head.activation}."
        yield cause, "medium" if head.activation != "tanh" else "low", "Remove the last activation.", _logits(head)
    if head.from_logits is False and not head.is_softmax:
        code = f'keras.layers.Dense({head.units or 10}, activation="softmax")'
        cure = "Use a softmax, or no activation together with from_logits=True."
        if head.activation == "sigmoid" or (head.activation is None and head.is_probability):
            cause = f"{head.loss} expects the probabilities of exclusive classes, but each unit has its own sigmoid."
            yield cause, "medium", cure, code
        elif head.activation != "softmax":
            cause = f"{head.loss} expects probabilities, as from_logits=False, but {head.name} has no softmax."
            yield cause, "high", cure, code


def _binary(head):
    sigmoid = f'keras.layers.Dense({head.units or 1}, activation="sigmoid")'
    if head.from_logits and head.activation in ("sigmoid", "hard_sigmoid", "softmax"):
        cause = f"{head.loss} expects scores, as from_logits=True, but {head.name} has passed a {head.activation}."
        yield cause, "medium", f"Remove the {head.activation}, or set from_logits=False.", _logits(head)
    if head.from_logits and head.activation in ("relu", "tanh"):
        cause = f"{head.loss} expects unbounded scores, but the last activation is {head.activation}."
        severity = "high" if head.activation == "relu" else "low"
        yield cause, severity, "Remove the last activation.", _logits(head)
    if head.from_logits is False and not head.is_probability:
        cause = f"{head.loss} expects probabilities, as from_logits=False, but {head.name} has no sigmoid."
        yield cause, "high", "Use a sigmoid, or no activation together with from_logits=True.", sigmoid
    if head.is_softmax and (head.units or 0) > 1 and head.kind in ("one-hot", "probabilities", None):
        cause = f"{head.loss} judges each of {head.units} units alone, but a softmax makes them one distribution."
        severity = "medium" if head.units > 2 and head.kind == "one-hot" else "low"
        yield cause, severity, "Use the categorical cross entropy.", _compile("categorical_crossentropy")
    if head.activation == "softmax" and head.kind == "multi-hot":
        cause = f"Rows of {head.target} have several labels, but a softmax lets the classes exclude each other."
        yield cause, "medium", "Use a sigmoid for each label.", sigmoid
    if head.activation == "sigmoid" and (head.units or 0) > 2 and head.kind == "one-hot":
        cause = "Exactly one of the classes is right, but each of them has its own sigmoid."
        code = f'keras.layers.Dense({head.units}, activation="softmax")  # loss="categorical_crossentropy"'
        yield cause, "low", "Use a softmax and the categorical cross entropy.", code


def _regression(head):
    """Values that the activation cannot reach, and squared errors of class labels."""
    low, high = RANGES.get(head.activation, (float("-inf"), float("inf")))
    target = head.facts
    if target.get("smallest") is not None and head.kind in ("numbers", "classes") and labels.fits(head):
        below = target["smallest"] < low - 1e-6
        above = target["largest"] > high + 1e-6
        if below or above:
            reach = f"from {target['smallest']:.3g} to {target['largest']:.3g}"
            span = f"[{low:g}, ∞)" if high == float("inf") else f"[{low:g}, {high:g}]"
            cause = f"{head.activation} has values in {span}, but {head.target} reaches {reach}."
            cure = "Use no activation in the last layer, or scale the targets into its range."
            yield cause, _unreachable(target, low, high), cure, f"keras.layers.Dense({head.units or 1})"
    if head.activation == "relu" and head.kind == "numbers":
        cause = "A ReLU in the last layer of a regression has no gradient for every sample whose output is 0."
        yield cause, "low", "Use no activation in the last layer.", f"keras.layers.Dense({head.units or 1})"
    if head.activation == "softmax" and head.kind == "numbers":
        cause = f"A softmax makes the {head.units} outputs sum to one, but the targets of the regression do not."
        yield cause, "medium", "Use no activation in the last layer.", f"keras.layers.Dense({head.units})"
    if head.kind in CLASS_KINDS:
        cause = (
            f"{head.target} contains classes, but {head.loss} measures distances: cross entropy learns classes faster."
        )
        code = _ONE_UNIT_EACH if head.units == 1 else _compile("sparse_categorical_crossentropy")
        yield cause, _of_classes(head), "If they are classes and not amounts, use a cross entropy.", code


_ONE_UNIT_EACH = (
    "classes, y = np.unique(y, return_inverse=True)  # 0, …, K − 1\n"
    'last = keras.layers.Dense(len(classes), activation="softmax")  # in place of the last layer\n'
    'loss = "sparse_categorical_crossentropy"'
)


def _unreachable(target, low, high):
    """High if the mean itself is out of reach, or nearly half of the values are."""
    outside = 0.0
    if low == 0.0:
        outside += target.get("negative", 0.0)
    if low == -1.0:
        outside += target.get("below_minus_one", 0.0)
    if high == 1.0:
        outside += target.get("above_one", 0.0)
    if not low <= target.get("mean", low) <= high or outside >= 0.4:
        return "high"
    return "medium" if outside >= 0.02 else "low"


def _of_classes(head):
    """Numbered classes as numbers: a distance between class 1 and class 9 means nothing."""
    distinct = head.facts.get("distinct") or 0
    return (
        "medium" if head.kind == "classes" and distinct > 2 and head.units == 1 and head.is_accuracy_watched else "low"
    )


def _hinge(head):
    if head.activation in ("sigmoid", "relu", "softmax"):
        cause = f"{head.loss} wants scores on both sides of 0, but {head.activation} has no negative values."
        yield cause, "medium" if head.units == 1 else "low", "Use no last activation, or tanh.", "keras.layers.Dense(1)"


def _logits(head):
    return f"keras.layers.Dense({head.units or 10})  # with from_logits=True in the loss"


def _compile(loss):
    return f'model.compile(model.optimizer, loss="{loss}")'


def _one_unit(head):
    return 'keras.layers.Dense(1, activation="sigmoid")  # loss="binary_crossentropy"'


RULES = [
    Rule(
        "output-loss-mismatch",
        "high",
        "from_logits = (the last activation is neither softmax nor sigmoid), and the targets lie in its range",
        "It compares names and intervals.",
        "a loss that is not one of Keras or of this library",
        "Decks A, C (losses and last activations)",
        "Give the last layer the activation that the loss expects.",
        'keras.layers.Dense(10, activation="softmax")  # with from_logits=False',
        output_loss_mismatch,
    ),
    *labels.RULES,
    *renumbered.RULES,
]
