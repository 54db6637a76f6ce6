"""Changes of the optimizer and of nothing but `compile`."""

import re

import keras
from keras import ops

from keras_lecture._training.chain import innermost, is_fixed
from keras_lecture.diagnosis._prescribe.plan import Plan
from keras_lecture.diagnosis._prescribe.structure import Refusal
from keras_lecture.diagnosis._rules.rule import Finding

# A usual change of the weights in one of the first steps, relative to their size.
_UPDATE = 0.01


def _rate(plan):
    optimizer = plan.structure.model.optimizer
    if not is_fixed(optimizer):
        raise Refusal("The learning rate is a schedule: change its numbers.")
    if "learning_rate" in plan.optimizer:
        raise Refusal("Another finding has already changed the learning rate.")
    return float(innermost(optimizer).get_config()["learning_rate"])


def _first_rate(plan):
    """The learning rate, or the first one of a schedule, with which the first updates were made."""
    optimizer = innermost(plan.structure.model.optimizer)
    if is_fixed(optimizer):
        return _rate(plan)
    rate = float(ops.convert_to_numpy(optimizer._learning_rate(0)))
    if not rate:
        raise Refusal("The learning rate is a schedule that starts at 0: change its numbers.")
    return rate


def _is(optimizer, *kinds):
    """Whether it is an optimizer of Keras itself, which has subclasses for PyTorch."""
    return isinstance(optimizer, kinds) and type(optimizer).__module__.startswith("keras.")


def _update(finding):
    """The measured change of the weights in a step relative to their size."""
    for name, value in finding.evidence.items():
        number = re.match(r"[\d.]+(e[+-]?\d+)?", value) if name.startswith("update relative to the weights") else None
        if number:
            return float(number[0])
    raise Refusal("The finding holds no measured update that would say by how much.")


def fitting_rate(plan: Plan, finding: Finding) -> str:
    """The learning rate with which the first updates would have had a usual length."""
    update, rate = _update(finding), _first_rate(plan)
    if update <= 0:
        raise Refusal("The measured update is zero.")
    new = float(f"{rate * _UPDATE / update:.1g}")
    if finding.rule == "learning-rate-too-high":
        new = min(new, float(f"{rate / 10:.1g}"))
    else:
        new = max(new, float(f"{rate * 10:.1g}"))
    plan.optimizer["learning_rate"] = new
    constant = "" if is_fixed(plan.structure.model.optimizer) else ", constant,"
    return f"A learning rate of {new:g}{constant} instead of {rate:g}: updates of {_UPDATE:g} instead of {update:g}."


def smaller_rate(plan: Plan, finding: Finding) -> str:
    """A tenth of the learning rate, and a clipped gradient where the loss explodes."""
    rate = _rate(plan)
    plan.optimizer["learning_rate"] = float(f"{rate / 10:.2g}")
    text = f"A learning rate of {rate / 10:.2g} instead of {rate:.3g}."
    if finding.rule == "oscillating-loss":
        return text
    plan.optimizer |= {"global_clipnorm": 1.0, "clipnorm": None, "clipvalue": None}
    return f"{text} The norm of the gradient is clipped."


def one_batch(plan: Plan, finding: Finding) -> str:
    """A smaller learning rate, if steps on one batch raise its loss."""
    if finding.severity == "low":
        raise Refusal("The loss of one batch hardly changes: too low a rate and a missing gradient look alike.")
    return smaller_rate(plan, finding)


def run_is_not_finite(plan: Plan, finding: Finding) -> str:
    """A smaller learning rate, unless the data are not finite."""
    if "rows with such a value" in finding.evidence:
        raise Refusal("The data are not finite: replace these values, or leave the rows out.")
    return smaller_rate(plan, finding)


def adam(plan: Plan, finding: Finding) -> str:
    """Adam with its usual rate in place of an optimizer that does not adapt its steps."""
    optimizer = plan.structure.model.optimizer
    if not _is(optimizer, keras.optimizers.SGD, keras.optimizers.Adadelta, keras.optimizers.Adagrad):
        raise Refusal("The optimizer already adapts its steps: train for more epochs.")
    if plan.optimizer:
        raise Refusal("Another finding has already changed the optimizer.")
    plan.optimizer |= {"class": keras.optimizers.Adam, "learning_rate": 1e-3}
    return f"Adam with its usual rate instead of {type(optimizer).__name__}."


def momentum(plan: Plan, finding: Finding) -> str:
    """Momentum and a smaller rate in place of plain descent."""
    optimizer = plan.structure.model.optimizer
    if not _is(optimizer, keras.optimizers.SGD) or optimizer.momentum:
        raise Refusal("The optimizer already has momentum, or adapts its steps.")
    rate = _rate(plan)
    plan.optimizer |= {"learning_rate": float(f"{rate / 5:.2g}"), "momentum": 0.9}
    return f"Momentum 0.9 and a learning rate of {rate / 5:.2g} instead of {rate:.3g}."


def compiled_again(plan: Plan, finding: Finding) -> str:
    """Nothing but a new optimizer: every prescribed model is compiled again."""
    return "Compiled again, with a new optimizer."
