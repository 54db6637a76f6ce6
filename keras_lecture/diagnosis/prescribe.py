"""A model rebuilt with the cures of findings."""

import difflib
from collections.abc import Sequence
from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts.reasons import message
from keras_lecture.diagnosis._prescribe import compiled
from keras_lecture.diagnosis._prescribe.plan import Plan
from keras_lecture.diagnosis._prescribe.prescription import Prescription
from keras_lecture.diagnosis._prescribe.program import program
from keras_lecture.diagnosis._prescribe.rebuild import rebuilt
from keras_lecture.diagnosis._prescribe.rules import CHANGES, CONSEQUENCES, INTENDED, REFUSED
from keras_lecture.diagnosis._prescribe.structure import Refusal, Structure, is_graph
from keras_lecture.diagnosis._rules.rule import Finding


def prescribe(
    model: keras.Model, findings: Sequence[Finding | dict[str, Any]], x: Tensor | None = None
) -> Prescription:
    """Rebuilds a model with the cures of findings, and shows the change as a diff of Keras code.

    Use it on the findings of `diagnosis.audit` or of `callbacks.Doctor` whose cure changes the model or its `compile`:
    output layer, loss, activations, initialization, normalization, data scaling, dropout, regularization, frozen
    layers, learning rate. It costs about as much as building the model three times. The given model does not change.

        new model = old layers, with the changed entries of their configs, + new layers

    Layers that stay keep their weights, because the model may be trained already; layers with another size or another
    initialization, new layers, and layers whose weights are not finite start with new ones. The optimizer is new, with
    the old settings, and so are metrics. Custom layers, losses and functions need `get_config` but no registration.
    Cures of the data, of `fit` and of the user's own code are refused with a reason, as are subclassed models, custom
    train steps, and quantized and LoRA layers.

    Args:
        model: A built and compiled Sequential or functional model.
        findings: Findings about this model, also as the dicts of a saved record. Closed ones are refused, and so are
            those of low severity next to others: the less is changed, the better.
        x: The training data as for `fit`, for a layer that scales them. Defaults to `None`: then such a cure is
            refused.

    Returns:
        A prescription with `model`, rebuilt and compiled, or `None` if nothing could be changed; `diff`, the change as
        a diff of Keras code, and `code`, the whole new program behind its imports (with the classes and functions of
        the user, and `x`, as they are); `changes`, a sentence for each; and `refused`, a list of `(rule, layer,
        why)`. `print` shows changes and diff, or why nothing is changed.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="scores")], name="classes")
        >>> model.compile("adam", "sparse_categorical_crossentropy")
        >>> x = np.random.default_rng(0).normal(size=(64, 2))
        >>> findings = keras_lecture.diagnosis.audit(model, x, np.arange(64) % 3, rules=["output-loss-mismatch"])
        >>> prescription = keras_lecture.diagnosis.prescribe(model, findings)
        >>> print("\\n".join(line for line in prescription.diff.splitlines() if line[:5] in ("-    ", "+    ")))
        -    loss="sparse_categorical_crossentropy",
        +    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),

    Reference:
        Decks A, B, C (the tuning table; losses and last activations; initialization; normalization). Deviation: an
        exclusive classifier gets scores and a loss of scores, unless a metric reads probabilities; a binary one gets a
        sigmoid, because Keras's metrics compare with ½.
    """
    findings = _check(model, findings)
    why = _whole_refusal(model)
    if why is not None:
        return Prescription(None, "", [], [(finding.rule, finding.layer, why) for finding in findings])
    with keras.saving.custom_object_scope(compiled.custom_objects(model)):
        arguments = compiled.arguments(model)
        plan, refused = _planned(Plan(Structure(model), dict(arguments), x), findings)
        if plan.is_empty:
            return Prescription(None, "", [], refused)
        try:
            new, lost = rebuilt(model, plan)
        except Exception as error:
            why = f"The changed model cannot be built: {message(error)}"
            return Prescription(None, "", [], [(finding.rule, finding.layer, why) for finding in findings])
        if lost:
            plan.changes.append(f"New weights, because they were not finite: {', '.join(lost)}.")
        new.compile(**compiled.copied(model, plan.arguments, plan.optimizer))
        compiled.bind(new)
        before = program(model, arguments, {})
        after = program(new, compiled.arguments(new), plan.adapted)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="")
    return Prescription(new, "\n".join(lines), plan.changes, refused, after)


def _check(model, findings):
    checks.instance("prescribe", "model", model, keras.Model, "a Keras model")
    if not model.built:
        remedy = "Call it on a batch, or `diagnosis.audit` it, first."
        checks.reject("prescribe", "model", "built", model.name, remedy)
    if not model.compiled:
        checks.reject("prescribe", "model", "compiled", model.name, "Call `model.compile(…)`: the loss may change.")
    kinds = [type(each).__name__ for each in findings] if isinstance(findings, list | tuple) else type(findings)
    try:
        # `Doctor.save` writes findings as dicts.
        return [each if isinstance(each, Finding) else Finding(**each) for each in findings]
    except TypeError:
        remedy = "They come from `diagnosis.audit(…)`, `Doctor.findings` or the `findings` of a saved record."
        checks.reject("prescribe", "findings", "a list of findings", kinds, remedy, TypeError)


def _whole_refusal(model):
    """Why a model cannot be rebuilt, or `None`."""
    if not is_graph(model):
        return f"{type(model).__name__} is a class of its own: only Sequential and functional models can be rebuilt."
    if getattr(model, "inputs", None) is None:
        return "Keras does not know the shapes between the layers, so that it keeps no graph of the model."
    if "train_step" in vars(model) or "compute_loss" in vars(model):
        return "The model has a train step or a loss of its own."
    for layer in layers(model):
        if getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False):
            return f"{layer.name} is quantized or has LoRA, which a new layer would lose."
    return None


def _planned(plan, findings):
    """The plan with the changes, in the order of the table, and the refused findings."""
    order = list(CHANGES)
    refused, serious = [], plan
    for is_low in (False, True):
        group = [finding for finding in findings if (finding.severity == "low") == is_low]
        for finding in sorted(group, key=lambda each: order.index(each.rule) if each.rule in order else -1):
            trial = plan.trial()
            try:
                trial.changes.append(f"{_subject(finding)}: {_change(trial, finding, serious)}")
            except Refusal as refusal:
                refused.append((finding.rule, finding.layer, str(refusal)))
            else:
                plan = trial
        serious = plan
    return plan, refused


def _change(plan, finding, serious):
    """Plans the change of one finding; its sentence. `serious` is the plan without findings of low severity."""
    if finding.rule not in CHANGES:
        raise Refusal(REFUSED.get(finding.rule, "There is no rule of this name."))
    if not finding.is_open:
        raise Refusal("The finding is closed: it has healed.")
    if finding.severity == "low" and serious.changes:
        raise Refusal("The finding is of low severity: see whether it remains after the other changes.")
    if finding.severity == "low" and finding.rule in INTENDED:
        raise Refusal("The finding is of low severity: nothing says that it does harm.")
    if finding.rule in CONSEQUENCES and not plan.only_optimizer:
        raise Refusal("It may be a consequence: see whether it remains after the other changes.")
    return CHANGES[finding.rule](plan, finding)


def _subject(finding):
    return f"{finding.rule} [{finding.layer}]" if finding.layer else finding.rule
