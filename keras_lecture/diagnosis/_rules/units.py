"""Rules on units that no longer react: dead ReLUs and saturated sigmoids."""

import math

from keras_lecture.diagnosis._rules import measures
from keras_lecture.diagnosis._rules.causes import has_other_cause, leading, severity
from keras_lecture.diagnosis._rules.evidence import progress
from keras_lecture.diagnosis._rules.rule import Rule


def _measured(record, measure):
    """Pairs of a step and what `measure` finds in its probe, where it finds something."""
    found = [(int(probe["step"]), measure(record, probe)) for probe in record.get("probes") or []]
    return [(step, layers) for step, layers in found if layers]


def _unmeasured(rule, record, absent):
    """The answer if no probe holds such a layer: the model has none, or no layer was measured."""
    is_seen = any(probe.get("layers") for probe in record.get("probes") or [])
    return rule.absent(absent) if is_seen else rule.unknown("No layer was measured.", "a look at the model")


def _dead_relu(rule, record):
    seen = _measured(record, measures.dead_layers)
    if not seen:
        yield _unmeasured(rule, record, "The model has no layer of the ReLU family.")
        return
    state = progress(record)
    step, layers = seen[-1]
    for name, (dead, units) in layers.items():
        share = dead / units
        # Sparse is not dead: a unit counts only if it rests on every sample of the probe.
        if share < 0.25 or dead < 2 and units > 1:
            continue
        shares = {s: earlier[name][0] / earlier[name][1] for s, earlier in seen if name in earlier}
        history = [s for s, part in shares.items() if part >= 0.25]
        first = f" and {shares[history[0]]:.0%} at step {history[0]}" if len(history) > 1 else ""
        worst = "low"
        if share >= 0.9:
            worst = severity(record, rule.id, "high" if share == 1 else "medium")
            worst = "medium" if worst == "low" and _stops_output(record, share, state) else worst
        # Before any step: no rate has done it.
        is_born = shares.get(0, 0.0) >= 0.9
        yield rule.found(
            f"{dead} of {units} units {'have been dead since before the first step' if is_born else 'are dead'}: their "
            "output is 0 on every sample, and they get no gradient.",
            {
                "dead units": f"{share:.0%} at step {step}{first} (fault: from 25 %, medium from 90 %)",
                "seen in probes": f"{len(history)} of {len(seen)}",
                "training loss": state.text,
            },
            severity=worst,
            confidence=0.95 if worst != "low" else 0.6,
            layer=name,
            steps=(history[0], step),
            cure="Use He initialization with zero biases, or a leaky ReLU or ELU." if is_born else None,
        )
        if worst != "low":
            return


def _stops_output(record, share, state):
    """Whether a wholly dead layer cuts the output from the input before any progress could be seen."""
    same = (record["probes"][-1].get("train") or {}).get("same_output")
    return bool(
        share == 1 and same and state.stage == "unknown" and not has_other_cause(record) and not leading(record)
    )


def _gates(rule, record):
    """Recurrent layers whose recurrent kernel alone saturates the gates, which no probe sees: s = w·h with |h| ≤ 1.

    A gate is a sigmoid of a sum of n products of a weight and a state; the states of a working layer are around ½.
    """
    for layer in measures.layers_by_name(record).values():
        kernels = [w for w in layer.get("weights") or [] if w.get("name") == "recurrent_kernel" and w.get("shape")]
        sums = [0.5 * w["rms"] * w["shape"][0] ** 0.5 for w in kernels]
        # A sigmoid has under 5 % of its largest slope beyond ±4.4.
        if sums and max(sums) > 4.4:
            yield rule.found(
                "The recurrent weights are so large that the gates of this layer are open or shut from the start.",
                {"sum of a gate at states of ½": f"{max(sums):.3g} (healthy: below 4.4)"},
                severity="low",
                confidence=0.7,
                layer=layer["name"],
            )


def _saturation(rule, record):
    yield from _gates(rule, record)
    seen = _measured(record, measures.saturated_layers)
    if not seen:
        yield _unmeasured(rule, record, "No hidden layer has a sigmoid or tanh.")
        return
    state = progress(record)
    step, layers = seen[-1]
    name = max(layers, key=layers.get)
    history = [s for s, earlier in seen if earlier.get(name, 0) >= 0.5]
    if not history or (state.stage == "good" and layers[name] < 0.9):
        return
    worst = severity(record, rule.id, "high" if layers[name] > 0.99 and (state.run or 0) >= 0.5 else "medium")
    if worst == "low" and len(history) == len(seen) > 2 and layers[name] > 0.99 and _blocks_most(record):
        worst = "medium"
    wide = _wide_kernel(record, name)
    yield rule.found(
        "Most outputs of this layer lie where the activation is flat, so that hardly any gradient passes.",
        {
            "saturated share": f"{layers[name]:.0%} (fault: from 50 % in a hidden layer)",
            "seen in probes": f"{len(history)} of {len(seen)}",
            **({"kernel, root mean square": wide} if wide else {}),
            "training loss": state.text,
        },
        severity=worst,
        confidence=0.9 if worst != "low" else 0.5,
        layer=name,
        steps=(history[0], history[-1]),
        cure="Initialize the kernels of all layers with Glorot's variance, which is Keras's default." if wide else None,
        code='keras.layers.Dense(64, kernel_initializer="glorot_uniform")' if wide else None,
    )


def _blocks_most(record):
    """Whether half of the kernels have no gradient at all at any probe: these layers learn nothing, ever."""
    found = [measures.zero_kernels(record, probe) for probe in record.get("probes") or []]
    return all(total and 2 * len(zero) >= total for zero, total in found)


def _wide_kernel(record, name):
    """The size of a kernel that starts far above Glorot's variance, as evidence, or `None`."""
    for weight in measures.layers_by_name(record)[name].get("weights") or []:
        rms, shape = measures.finite(weight.get("rms")), weight.get("shape") or []
        if weight.get("role") == "kernel" and len(shape) >= 2 and rms:
            glorot = math.sqrt(2 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])))
            return f"{rms:.3g} at the start (healthy: {glorot:.2g}, Glorot's)" if rms > 4 * glorot else None
    return None


RULES = [
    Rule(
        id="dead-relu",
        severity="medium",
        criterion="share of units with output 0 on every sample of the probe ≥ 25 %; medium at 90 % and high at 100 "
        "% of a layer while the loss is no better than that of a constant prediction",
        scale_free="Counts units, and rest is an exact zero.",
        unknown_when="No layer of the ReLU family was measured.",
        lecture="Deck A, ReLU: zero gradient when saturated (partially: dead ReLU)",
        cure="Use a leaky ReLU or ELU, He initialization with zero biases, and a smaller learning rate.",
        code='keras.layers.Dense(64, activation="leaky_relu", kernel_initializer="he_normal", '
        'bias_initializer="zeros")',
        judge=_dead_relu,
    ),
    Rule(
        id="saturation",
        severity="medium",
        criterion="share of hidden outputs where the activation's derivative is below 5 % of its maximum ≥ 50 %; "
        "medium in the two latest probes while the loss is no better than that of a constant prediction",
        scale_free="The derivative is compared with its own maximum.",
        unknown_when="No hidden layer has a sigmoid or tanh.",
        lecture="Deck A, sigmoid: zero gradient when saturated; deck C, big random numbers",
        cure="Scale the inputs to mean 0 and variance 1, initialize with Glorot's variance, or use ReLU.",
        code='keras.Sequential([keras.layers.BatchNormalization(), keras.layers.Dense(64, activation="tanh", '
        'kernel_initializer="glorot_uniform")])',
        judge=_saturation,
    ),
]
