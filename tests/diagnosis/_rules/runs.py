"""Hand-written records of training runs for the tests of rules: a small classifier, and changes to its run."""

import copy

import numpy as np

from keras_lecture.diagnosis._rules.rule import Finding, Unknown

STEPS_PER_EPOCH = 50
CHANCE = 2.303


def layer(name, units=32, activation="relu", **changes):
    """The description of a dense layer in a model."""
    kernel = {"path": f"{name}/kernel", "name": "kernel", "role": "kernel", "trainable": True, "rms": 0.1}
    return {
        "name": name,
        "class": "Dense",
        "activation": activation,
        "shape": [units],
        "units": units,
        "trainable": True,
        "rate": None,
        "is_output": False,
        "samples_batch_statistics": False,
        "weights": [{**kernel, "constant": False, "equal_units": False}],
    } | changes


def row(name, units=32, activation="relu", **changes):
    """The measurements of a dense layer in a probe."""
    weight = {"path": f"{name}/kernel", "norm": 5.0, "gradient": 0.1, "update": None}
    return {
        "layer": name,
        "class": "Dense",
        "activation": activation,
        "mean": 0.5,
        "std": 0.7,
        "zeros": 0.5,
        "dead": 0 if activation not in (None, "softmax") else None,
        "units": units,
        "saturated": 0.0 if activation in ("sigmoid", "tanh") else None,
        "equal": 0.0,
        "gradient": 0.01,
        "nonfinite": 0,
        "weights": [weight],
    } | changes


def falling(epochs, start=2.4, end=0.1, rate=8.0):
    """An exponential fall of a loss over so many epochs."""
    return [end + (start - end) * float(np.exp(-rate * i / epochs)) for i in range(epochs + 1)]


def run(losses, *, validation=None, accuracies=None, names=("a", "b", "c"), activation="relu", update=3e-3, **changes):
    """A record with a probe at the start and after each epoch; `losses` are those of the probes, in order.

    `changes` replace parts of the record.
    """
    epochs = len(losses) - 1
    layers = [layer(name, activation=activation) for name in names]
    output = layer("out", 10, "softmax", is_output=True)
    probes = []
    for i, loss in enumerate(losses):
        state = {"loss": loss, "error": 0.02, "regularization": 0.0, "same_output": False}
        probes.append(
            {
                "step": STEPS_PER_EPOCH * i,
                "epoch": i - 1,
                "train": {**state, "accuracy": None if accuracies is None else accuracies[i]},
                "validation": None if validation is None else {**state, "loss": validation[i], "accuracy": None},
                "training_mode": {"loss": loss},
                "layers": [row(name, activation=activation) for name in names] + [row("out", 10, "softmax")],
            }
        )
    # Ten losses an epoch, along lines between the probes, with the noise of batches.
    steps = np.arange(5, STEPS_PER_EPOCH * epochs + 1, 5)
    values = np.interp(steps, STEPS_PER_EPOCH * np.arange(epochs + 1), losses)
    values = values + np.random.default_rng(1).normal(0, 0.005, len(values))
    update = {f"{name}/kernel": {"update": update, "moved": True} for name in (*names, "out")}
    logs = [{"loss": loss} for loss in losses[1:]]
    if validation is not None:
        logs = [{**log, "val_loss": loss} for log, loss in zip(logs, validation[1:], strict=True)]
    record = {
        "model": {
            "parameters": 1000,
            "trainable_parameters": 1000,
            "optimizer": {"class": "SGD", "learning_rate": 0.01, "schedule": False},
            "losses": [
                {"output": "out", "family": "sparse_categorical_crossentropy", "from_logits": False, "weight": 1.0}
            ],
            "layers": [*layers, output],
            "outputs": [{"name": "out", "shape": [None, 10], "layer": "out", "activation": "softmax"}],
        },
        "data": {},
        "fit": {"epochs": epochs, "initial_epoch": 0, "steps_per_epoch": STEPS_PER_EPOCH},
        "start": {"loss": losses[0], "regularization": 0.0, "chance": {"loss": CHANCE, "accuracy": 0.1}},
        "probes": probes,
        "losses": {"steps": steps.tolist(), "values": values.tolist()},
        "epochs": [{"epoch": i, "step": STEPS_PER_EPOCH * (i + 1), "logs": log} for i, log in enumerate(logs)],
        "steps": [{"step": step, "weights": copy.deepcopy(update), "cosine": 0.3} for step in (1, 2, 3)],
        "invariants": {},
    }
    return {**record, **changes}


def healthy(epochs=10, **changes):
    """A run that goes well."""
    return run(falling(epochs), **changes)


def stuck(epochs=10, level=CHANCE, **changes):
    """A run whose loss stays at that of a constant prediction."""
    noise = np.random.default_rng(0).normal(0, 0.0005, epochs + 1)
    return run([level + float(n) for n in noise], **changes)


def change_rows(record, probes=slice(None), names=None, **changes):
    """The record with measurements of the hidden layers replaced, in some probes; a change may be a list by layer."""
    record = copy.deepcopy(record)
    for probe in record["probes"][probes]:
        chosen = [r for r in probe["layers"] if r["layer"] != "out" and (names is None or r["layer"] in names)]
        for index, measured in enumerate(chosen):
            for key, value in changes.items():
                value = value[index] if isinstance(value, list) else value
                if key in ("norm", "weight_gradient"):
                    measured["weights"][0]["gradient" if key == "weight_gradient" else "norm"] = value
                else:
                    measured[key] = value
    return record


def answers(family, name, record):
    """Findings and unknowns of the rule with this id."""
    rule = next(rule for rule in family.RULES if rule.id == name)
    found = list(rule.judge(rule, record))
    return [a for a in found if isinstance(a, Finding)], [a for a in found if isinstance(a, Unknown)]


def severities(family, name, record):
    """The severities of the findings of the rule with this id."""
    return [finding.severity for finding in answers(family, name, record)[0]]


def alarms(record, *families):
    """The ids of the findings of medium and high severity."""
    return [rule.id for f in families for rule in f.RULES for s in severities(f, rule.id, record) if s != "low"]
