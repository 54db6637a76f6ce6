"""Rules about the arguments of `fit`: the size of the batches, and the validation data."""

from typing import Any

from keras_lecture.diagnosis._rules import measures
from keras_lecture.diagnosis._rules.causes import has_other_cause, leading
from keras_lecture.diagnosis._rules.evidence import progress
from keras_lecture.diagnosis._rules.rule import Rule

_FEW_STEPS = 50


def batch_size(rule: Rule, record: dict[str, Any]):
    """Batches so large that a run has hardly any steps, or so small that each step is mostly noise."""
    fit = record.get("fit") or {}
    size, samples, epochs, steps = (fit.get(name) for name in ("batch_size", "samples", "epochs", "steps_per_epoch"))
    if not size or not samples or not steps:
        yield rule.unknown("the data have no known size", "arrays, or a data set of known length")
        return
    if measures.is_search(record):
        return
    planned, state = steps * (epochs or 1), progress(record)
    is_over = (state.run or 0.0) >= 0.99 and state.stage in ("none", "little")
    is_cause = is_over and not has_other_cause(record) and leading(record) is None
    if size > samples / 4 and planned < _FEW_STEPS and samples >= 64:
        yield rule.found(
            f"Each batch holds {size} of the {samples} rows, so that the whole run has only {planned} steps.",
            {
                "steps of the run": f"{planned} (healthy: at least {_FEW_STEPS}, or batches of at most a quarter)",
                "training loss": state.text,
            },
            severity="medium" if is_cause else "low",
            cure="Use smaller batches or more epochs.",
            code="model.fit(x, y, batch_size=32, epochs=50)",
        )
    elif size <= 2 and samples >= 256:
        yield rule.found(
            f"With batches of {size} each step follows the noise of single samples, and an epoch takes {steps} steps.",
            {"samples per batch": f"{size} (healthy: more than 2 of {samples})"},
        )


def no_validation(rule: Rule, record: dict[str, Any]):
    """A run that cannot show whether the model generalizes."""
    fit = record.get("fit") or {}
    has_any = any("val_loss" in (epoch.get("logs") or {}) for epoch in record.get("epochs") or [])
    if not record.get("epochs") or has_any or (record.get("data") or {}).get("validation") is not None:
        return
    if (fit.get("samples") or 0) >= 50:
        yield rule.found(
            "The run has no validation data, so that overfitting stays unseen.",
            {"validation loss in the logs": "none (healthy: one)"},
        )


RULES = [
    Rule(
        "batch-size",
        "low",
        "at least 50 steps in all or batches of at most a quarter of the samples; more than 2 samples in a batch; "
        "medium for few steps that end with little progress",
        "It counts steps and samples.",
        "a generator or data set of unknown length",
        "Decks A, B, E (mini-batches: the variance of the gradient falls with the size of the batch)",
        "Use larger batches.",
        "model.fit(x, y, batch_size=32)",
        batch_size,
    ),
    Rule(
        "no-validation",
        "low",
        "the logs have a validation loss",
        "It asks whether a number exists.",
        "never",
        "Decks A, D (training, validation and test sets)",
        "Hold out a part of the data.",
        "model.fit(x, y, validation_split=0.2)",
        no_validation,
    ),
]
