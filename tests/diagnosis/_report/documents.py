"""Written documents of runs, for tests of the report."""

import math

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a' onclick='x",
    "</title><b>",
    "\x1b[31mred",
    "\ud800",
)


def finding(**facts):
    plain = {
        "rule": "dead-relu",
        "severity": "high",
        "confidence": 0.95,
        "layer": "dense_1",
        "first_step": 40,
        "last_step": 100,
        "evidence": {"dead units": "32 of 32 (criterion: at least 25 %)"},
        "cause": "All units are at rest.",
        "cure": "Use `leaky_relu` and a smaller learning rate.",
        "code": 'keras.layers.Dense(32, "leaky_relu")',
        "lecture": "Deck A, ReLU",
        "is_open": True,
    }
    return plain | facts


def layers(count, gradient=lambda index: 0.1, std=lambda index: 1.0, names=None):
    rows = []
    for index in range(count):
        name = names[index] if names else f"dense_{index}"
        weight = {"path": f"{name}/kernel", "norm": 3.0, "gradient": 0.1, "update": None}
        row = {"layer": name, "class": "Dense", "gradient": gradient(index), "std": std(index), "weights": [weight]}
        rows.append(row)
    return rows


def document(count=3, looks=5, every=20, findings=(), loss=lambda step: 2.0 / (1 + step / 50), **facts):
    """A document with `looks` probes, one each `every` steps; further arguments are those of `layers` or its parts."""
    options = {name: facts.pop(name) for name in ("gradient", "std", "names") if name in facts}
    rows, last = layers(count, **options), every * (looks - 1)
    probes = []
    for look in range(looks):
        losses = {"loss": loss(look * every), "accuracy": 0.5}
        probes.append(
            {"step": look * every, "epoch": look - 1, "train": losses, "validation": dict(losses), "layers": rows}
        )
    updates = {row["weights"][0]["path"]: {"update": 1e-3, "moved": True} for row in rows}
    steps = list(range(1, last + 1))
    logs = [{"loss": loss(step), "val_loss": loss(step), "accuracy": 0.5} for step in range(every, last + 1, every)]
    plain = {
        "schema": 1,
        "library": "1.0",
        "keras": "3.15",
        "backend": "torch",
        "model": {"name": "model", "parameters": 100, "layers": [], "losses": [], "outputs": []},
        "data": {},
        "fit": {"epochs": looks - 1, "initial_epoch": 0, "batch_size": 32},
        "start": {"loss": loss(0), "chance": {"loss": 1.5}},
        "probes": probes,
        "losses": {"steps": steps, "values": [loss(step) for step in steps]},
        "epochs": [{"epoch": i, "step": every * (i + 1), "logs": entry} for i, entry in enumerate(logs)],
        "steps": [{"step": step, "weights": updates} for step in (1, 2, 3)],
        "invariants": {},
        "unseen": [],
        "findings": list(findings),
        "unknown": [{"rule": "overfit", "reason": "There are no validation data.", "needed": "`validation_data`"}],
        "actions": [],
    }
    return plain | facts


def broken(step_of_nan=45):
    """A run whose loss, signals and gradients are no numbers from a step on; as strings, as JSON has them."""
    result = document(loss=lambda step: 2.0 if step < step_of_nan else "nan")
    for probe in result["probes"][3:]:
        probe["layers"] = layers(3, gradient=lambda index: "nan", std=lambda index: ("inf", "-inf", "nan")[index])
    return result


def hostile():
    """A document in which every text from outside is markup, or steers a terminal."""
    name = "".join(HOSTILE)
    found = finding(layer=name, rule=name, cause=name, cure=name, code=name, lecture=name, evidence={name: name})
    action = {"step": 20, "epoch": 0, "rule": name, "layer": name, "kind": "clipping", "text": name}
    result = document(6, names=list(HOSTILE), findings=[found, found | {"severity": "low"}, found | {"is_open": False}])
    result["model"] |= {"name": name, "optimizer": {"class": name}, "losses": [{"class": name}]}
    for entry in result["epochs"]:
        entry["logs"] |= {name: 1.0, f"val_{name}": math.inf}
    unknown = [{"rule": name, "reason": name, "needed": name}]
    more = {"actions": [action | {"before": 1.0, "after": 0.1, "undone": True}], "unseen": [name], "unknown": unknown}
    return result | more | {"untreated": [name], "library": name, "keras": name, "backend": name}
