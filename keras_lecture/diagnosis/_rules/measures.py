"""Measures of layers and updates in a record, as ratios: of layers to each other, of updates to weights."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_lecture.diagnosis._record.record import Record
from keras_lecture.diagnosis._rules.trends import finite

# Activations that saturate on both sides: a unit at rest there is saturated, not dead.
BOUNDED = ("sigmoid", "tanh", "softsign", "hard_sigmoid", "softmax")


def layers_by_name(record: Record) -> dict[str, dict[str, Any]]:
    """The layers of the model by name."""
    return {layer["name"]: layer for layer in (record.get("model") or {}).get("layers") or []}


def dropout_rates(record: Record) -> list[tuple[str, float]]:
    """Layers with a rate of dropout and their rates, the highest first."""
    rates = [(layer["name"], finite(layer.get("rate"))) for layer in layers_by_name(record).values()]
    return sorted(((name, rate) for name, rate in rates if rate), key=lambda entry: -entry[1])


def rows(record: Record, probe: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of a layer's row in a probe and its description in the model."""
    known = layers_by_name(record)
    for row in probe.get("layers") or []:
        yield row, known.get(row.get("layer"), {})


def kernels(record: Record, probe: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """The trainable kernels in a probe: row, description of the layer, entry of the weight."""
    for row, layer in rows(record, probe):
        roles = {weight["path"]: weight for weight in layer.get("weights") or []}
        for weight in row.get("weights") or []:
            about = roles.get(weight.get("path"), {})
            if about.get("role") == "kernel" and about.get("trainable", True):
                yield row, layer, weight


def backward_norms(record: Record, probe: dict[str, Any]) -> list[tuple[str, float]]:
    """Norm per sample of the gradient at the output of each hidden layer that has a kernel, in call order."""
    result = {}
    for row, layer, _ in kernels(record, probe):
        gradient = finite(row.get("gradient"))
        if gradient is not None and not layer.get("is_output") and row.get("class") != "Embedding":
            size = math.prod(d or 1 for d in layer.get("shape") or [1])
            result[row["layer"]] = gradient * math.sqrt(size)
    return list(result.items())


def has_few_hidden(record: Record) -> bool:
    """Whether the model is known to have fewer than three hidden layers with a kernel, too few to compare."""
    names = {layer["name"] for layer, _ in hidden_kernels(record) if layer.get("class") != "Embedding"}
    return bool(layers_by_name(record)) and len(names) < 3


def hidden_kernels(record: Record) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each hidden layer that has a kernel, with this kernel, as before the first step."""
    hidden = [layer for layer in layers_by_name(record).values() if not layer.get("is_output")]
    return [(layer, w) for layer in hidden for w in layer.get("weights") or [] if w.get("role") == "kernel"]


def backward_ratio(record: Record, probe: dict[str, Any]) -> tuple[float, str] | None:
    """Gradient at the first hidden layer over the gradient at the last one; `None` below three hidden layers."""
    norms = backward_norms(record, probe)
    if len(norms) < 3 or norms[-1][1] <= 0:
        return None
    return norms[0][1] / norms[-1][1], norms[0][0]


def forward_ratio(record: Record, probe: dict[str, Any]) -> tuple[float, str] | None:
    """Spread of the signal at the last hidden layer over the one at the first; `None` below three hidden layers."""
    found = spreads(record, probe)
    return (found[-1][1] / found[0][1], found[-1][0]) if len(found) > 2 and found[0][1] > 0 else None


def spreads(record: Record, probe: dict[str, Any]) -> list[tuple[str, float]]:
    """Spread of the signal of each hidden layer that has a kernel, in call order."""
    result = {}
    for row, layer, _ in kernels(record, probe):
        spread = finite(row.get("std"))
        if spread is not None and not layer.get("is_output") and row.get("class") != "Embedding":
            result[row["layer"]] = spread
    return list(result.items())


def elasticities(record: Record, probe: dict[str, Any]) -> dict[str, float]:
    """‖∂L/∂w‖·‖w‖ / |L| of each kernel by path: the relative change of the loss per relative change of the kernel.

    L is the loss of the probe or the one at the start, whichever is larger: near zero it is no scale.
    """
    losses = [(probe.get("train") or {}).get("loss"), (probe.get("training_mode") or {}).get("loss")]
    losses = [abs(finite(loss) or 0.0) for loss in [*losses, (record.get("start") or {}).get("loss")]]
    loss = max(losses)
    if not loss:
        return {}
    result = {}
    for _, _, weight in kernels(record, probe):
        gradient, norm = finite(weight.get("gradient")), finite(weight.get("norm"))
        if gradient is not None and norm:
            result[weight["path"]] = gradient * norm / loss
    return result


def zero_kernels(record: Record, probe: dict[str, Any]) -> tuple[list[str], int]:
    """Layers with a kernel whose gradient is exactly zero, and the number of all kernels with a known gradient."""
    zero, total = [], 0
    for row, _, weight in kernels(record, probe):
        gradient = finite(weight.get("gradient"))
        if gradient is not None:
            total += 1
            if gradient == 0:
                zero.append(row["layer"])
    return zero, total


def dead_layers(record: Record, probe: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Dead units and all units of each layer of the ReLU family."""
    result = {}
    for row, layer in rows(record, probe):
        dead, units = finite(row.get("dead")), finite(row.get("units"))
        activation = row.get("activation") or layer.get("activation")
        if dead is not None and units and activation not in BOUNDED:
            result[row["layer"]] = (int(dead), int(units))
    return result


def saturated_layers(record: Record, probe: dict[str, Any]) -> dict[str, float]:
    """Saturated share of each hidden layer with a sigmoid or tanh; softmax is left out."""
    result = {}
    for row, layer in rows(record, probe):
        share = finite(row.get("saturated"))
        activation = row.get("activation") or layer.get("activation")
        if share is not None and not layer.get("is_output") and activation != "softmax":
            result[row["layer"]] = share
    return result


def update_ratios(record: Record, first: int = 0, last: float = math.inf) -> dict[str, list[float]]:
    """‖Δw‖/‖w‖ of each kernel at the observed steps in a range, by path; kernels that started constant are left out."""
    wanted = set()
    for layer in layers_by_name(record).values():
        for weight in layer.get("weights") or []:
            if weight.get("role") == "kernel" and weight.get("trainable", True) and not weight.get("constant"):
                wanted.add(weight["path"])
    result: dict[str, list[float]] = {}
    for step in record.get("steps") or []:
        if first <= step.get("step", 0) <= last:
            for path, entry in (step.get("weights") or {}).items():
                ratio = finite(entry.get("update"))
                if path in wanted and ratio is not None:
                    result.setdefault(path, []).append(ratio)
    return result


def first_update_ratio(record: Record) -> float | None:
    """Median over the kernels of the largest update ratio within the first three steps."""
    ratios = [max(values) for values in update_ratios(record, 1, 3).values()]
    return float(np.median(ratios)) if ratios else None


def ratio_at_start(record: Record) -> float | None:
    """Median over the kernels of their first update ratio: later ones may be those of weights that were destroyed."""
    ratios = [values[0] for values in update_ratios(record, 1, 3).values()]
    return float(np.median(ratios)) if ratios else None


def largest_usual_ratio(record: Record) -> float | None:
    """Largest over the kernels of the median update ratio over all observed steps."""
    ratios = [float(np.median(values)) for values in update_ratios(record).values()]
    return max(ratios) if ratios else None


def latest_update_ratio(record: Record) -> float | None:
    """Largest over the kernels of the update ratio at the latest observed step."""
    ratios = [values[-1] for values in update_ratios(record).values()]
    return max(ratios) if ratios else None


def is_search(record: Record) -> bool:
    """Whether the optimizer searches for the length of each step."""
    optimizer = (record.get("model") or {}).get("optimizer") or {}
    return optimizer.get("class") in ("Armijo", "LBFGS", "Newton", "NewtonCG")


NO_BATCH_STATISTICS = "no layer normalizes by the statistics of the batch"


def has_batch_statistics(record: Record) -> bool:
    """Whether a layer of the model normalizes by the statistics of the batch."""
    return any(layer.get("samples_batch_statistics") for layer in layers_by_name(record).values())


def regularization_share(record: Record) -> float | None:
    """The regularization's share of the total loss before the first step."""
    start = record.get("start") or {}
    loss, penalty = finite(start.get("loss")), finite(start.get("regularization"))
    if loss is None or penalty is None or penalty < 0:
        return None
    return penalty / max(abs(loss), penalty) if penalty else 0.0


def shrunk_weights(record: Record) -> float | None:
    """Median over the kernels of the norm in the last probe relative to the one in the first."""
    probes = record.get("probes") or []
    if len(probes) < 2:
        return None
    norms = [{w["path"]: finite(w.get("norm")) for _, _, w in kernels(record, probes[i])} for i in (0, -1)]
    ratios = [norms[1][path] / norm for path, norm in norms[0].items() if norm and norms[1].get(path) is not None]
    return float(np.median(ratios)) if ratios else None
