"""Hand-written records for tests of the rules about data, outputs and structure."""

from keras_lecture.diagnosis._rules.rule import Finding, Unknown


def kernel(shape=(64, 32), **facts):
    size = 1
    for length in shape:
        size *= length
    plain = {"constant": False, "equal_units": False, "untouched": True, "trainable": True, "rms": 0.2}
    return {"path": "kernel", "name": "kernel", "role": "kernel", "shape": list(shape), "size": size} | plain | facts


def layer(name, kind="Dense", units=32, activation="relu", sources=("",), weights=None, **facts):
    weights = [kernel((64, units)) | {"path": f"{name}/kernel"}] if weights is None else weights
    plain = {"trainable": True, "use_bias": True, "rate": None, "is_output": False, "shape": [units]}
    entry = {"name": name, "class": kind, "units": units, "activation": activation, "sources": list(sources)}
    return entry | plain | {"weights": weights} | facts


def chain(*layers):
    """Layers of which each feeds the next; the last is the output."""
    for before, after in zip(layers, layers[1:], strict=False):
        after["sources"] = [before["name"]]
    layers[-1]["is_output"] = True
    return list(layers)


def classifier(activation="softmax", family="sparse_categorical_crossentropy", from_logits=False, units=10, **target):
    """A record of a model with one output, and of its targets."""
    facts = {"name": "y", "shape": [], "kind": "classes", "smallest": 0.0, "largest": 9.0, "whole": True}
    facts |= {"rows": 500, "distinct": 10, "mean": 4.5, "std": 3.0, "rms": 5.0}
    output = {"name": "output", "shape": [units], "layer": "output", "activation": activation}
    layers = chain(layer("hidden"), layer("output", units=units, activation=activation))
    loss = {"output": None, "class": family, "family": family, "from_logits": from_logits}
    model = {"kind": "sequential", "layers": layers, "outputs": [output], "losses": [loss]}
    return {"model": model, "data": {"targets": [facts | target], "inputs": [], "whole": True}}


def answers(rules, name, record):
    """The findings and the unknowns of one rule."""
    rule = next(rule for rule in rules if rule.id == name)
    found = list(rule.judge(rule, record))
    return [a for a in found if isinstance(a, Finding)], [a for a in found if isinstance(a, Unknown)]


def severities(rules, name, record):
    return [finding.severity for finding in answers(rules, name, record)[0]]
