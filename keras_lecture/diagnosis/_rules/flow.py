"""Rules on the flow of signals and gradients through the layers: a layer is compared with the other layers."""

import math

from keras_lecture._core.listing import listed
from keras_lecture.diagnosis._rules import measures, units
from keras_lecture.diagnosis._rules.causes import has_exploded, has_other_cause, leading, nonfinite_steps, severity
from keras_lecture.diagnosis._rules.evidence import progress
from keras_lecture.diagnosis._rules.rule import Rule

# Code that shows where the gradient ends.
_LOOK = "import keras_lecture\n\nprint(keras_lecture.diagnosis.signals(model, x[:64], y[:64]))"


def _too_few(rule, record):
    """The answer if fewer than three hidden layers can be compared."""
    if measures.has_few_hidden(record):
        return rule.absent("The model has fewer than three hidden layers with kernels to compare.")
    return rule.unknown("Fewer than three hidden layers were measured.", "the gradients of three of them")


def _ends(record):
    """The first and the last probe with rows of layers, each once."""
    probes = [probe for probe in record.get("probes") or [] if probe.get("layers")]
    return probes[:1] + probes[1:][-1:]


def _zero_gradient(rule, record):
    ends = _ends(record)
    if not ends:
        yield rule.unknown("No probe holds gradients.", "a probe with gradients")
        return
    state = progress(record)
    zero, total = measures.zero_kernels(record, ends[-1])
    if not total or not zero or state.stage == "good" and len(zero) == total:
        return
    step = ends[-1]["step"]
    is_all = len(zero) == total
    worst = severity(record, rule.id, "high")
    if is_all and step == 0 and worst == "low" and leading(record) is None and state.stage == "unknown":
        worst = "medium"
    blocker = None if is_all else _blocker(record)
    if blocker and worst == "low" and leading(record) is None and not has_other_cause(record):
        worst = "medium"
    cause, cure, code = _of_zero(record, is_all, blocker)
    yield rule.found(
        cause,
        {
            "kernels with zero gradient": f"{len(zero)} of {total} (fault: exactly zero on the whole probe)",
            "layers": ", ".join(zero[:4]) + (" …" if len(zero) > 4 else ""),
            "training loss": state.text,
        },
        severity=worst,
        confidence=0.95 if is_all or worst != "low" else 0.6,
        layer=blocker or zero[0],
        cure=cure,
        code=code,
        steps=(ends[0]["step"] if measures.zero_kernels(record, ends[0])[0] else step, step),
    )


def _of_zero(record, is_all, blocker):
    """Cause, cure and code of gradients of zero: kernels of zeros, a layer that lets none pass, or neither is known."""
    zeros = _of_zeros(record)
    if is_all and zeros:
        cause = f"All kernels of {listed(zeros)} are 0 from the start, so that neither signal nor gradient passes."
        return (
            cause,
            "Leave the kernels to the default initializer, or use Glorot's or He's.",
            _drawn_again("GlorotUniform"),
        )
    if is_all:
        return "No kernel has a gradient, so that none of them learns.", None, None
    if blocker:
        cause = f"No gradient passes {blocker}, so that the layers before it never learn."
        cure = (
            f"Look at what {blocker} computes: argmax, round, stop_gradient and conversions to NumPy have no gradient."
        )
        return cause, cure, _LOOK
    return "The gradient of some kernels is exactly zero, so they do not learn.", None, None


def _of_zeros(record):
    """The hidden layers of which every kernel is 0 before the first step."""
    pairs = measures.hidden_kernels(record)
    drawn = {layer["name"] for layer, kernel in pairs if not kernel.get("constant") or kernel.get("rms")}
    return list(dict.fromkeys(layer["name"] for layer, _ in pairs if layer["name"] not in drawn))


def _blocker(record):
    """The layer without units at rest that lets no gradient pass at any probe, half of the kernels being before it."""
    probes = [probe for probe in record.get("probes") or [] if probe.get("layers")]
    found = set()
    for probe in probes:
        zero, total = measures.zero_kernels(record, probe)
        rows = [row for row in probe["layers"] if measures.finite(row.get("gradient")) is not None]
        pairs = [(a, b) for a, b in zip(rows, rows[1:], strict=False) if not a["gradient"] and b["gradient"]]
        if 2 * len(zero) < total or len(pairs) != 1:
            return None
        before, after = pairs[0]
        if after.get("dead") or before.get("dead") or (after.get("saturated") or 0.0) > 0.5:
            return None
        found.add(after["layer"])
    return found.pop() if len(found) == 1 and len(probes) > 2 else None


def _vanishing_gradient(rule, record):
    state, ends = progress(record), _ends(record)
    seen = [(probe, measures.backward_ratio(record, probe)) for probe in ends]
    seen = [(probe, ratio) for probe, ratio in seen if ratio is not None]
    if not seen:
        # A gradient of 0 at the last hidden layer has a rule of its own.
        if not any(len(measures.backward_norms(record, probe)) > 2 for probe in ends):
            yield _too_few(rule, record)
        return
    small = [(probe, ratio) for probe, ratio in seen if ratio[0] <= 1e-2]
    # A converged model may keep a small ratio, and it means nothing there.
    if not small or (state.stage == "good" and seen[-1][1][0] > 1e-4):
        return
    ratio, layer = small[-1][1]
    if ratio == 0:
        # The rule on zero gradients names it.
        return
    worst = severity(record, rule.id, "high" if ratio <= 1e-6 and (state.run or 0) >= 0.5 else "medium")
    yield rule.found(
        "The gradient gets smaller from layer to layer on its way to the first layers, which therefore hardly learn.",
        {
            "signal gradient, first hidden layer": f"{ratio:.1e} of the one at the last (fault: at most 1e-2)",
            **_bounded(record),
            "training loss": state.text,
        },
        severity=worst,
        confidence=0.9 if worst != "low" else 0.5,
        layer=layer,
        steps=(small[0][0]["step"], small[-1][0]["step"]),
    )


def _bounded(record):
    """The activation of all hidden layers, as evidence, if its slope is small or bounded."""
    layers = (record.get("model") or {}).get("layers") or []
    hidden = {layer.get("activation") for layer in layers if layer.get("weights") and not layer.get("is_output")}
    return {"hidden layers": f"all {hidden.pop()}"} if len(hidden) == 1 and hidden <= {"sigmoid", "tanh"} else {}


def _exploding_gradient(rule, record):
    state, ends = progress(record), _ends(record)
    if not ends or not any(measures.elasticities(record, probe) for probe in ends):
        yield rule.unknown("No probe holds gradients and norms of kernels.", "a probe with gradients")
        return
    # Once the loss is low, only the start is of interest.
    for probe in ends[:1] if state.stage == "good" else reversed(ends):
        ratio = measures.backward_ratio(record, probe)
        growth = measures.elasticities(record, probe)
        path = max(growth, key=growth.get, default=None)
        is_steep, is_deep = path is not None and growth[path] > 100, ratio is not None and ratio[0] > 1e3
        # A signal that grows with depth makes the first steps as wrong as a steep loss does.
        forward = measures.forward_ratio(record, probe) if probe["step"] == 0 else None
        has_grown = forward is not None and forward[0] > 100
        if path is None or not (is_steep or is_deep or has_grown):
            continue
        is_fatal = bool(nonfinite_steps(record)) or has_exploded(record)
        evidence = {"training loss": state.text}
        if is_deep:
            evidence["signal gradient, first hidden layer"] = f"{ratio[0]:.1e} of the one at the last (fault: > 1e3)"
        if has_grown:
            evidence["growth of the signal"] = f"{forward[0]:.1e} from the first hidden layer (fault: > 100)"
        cause = "The gradient is out of proportion to the loss and the weights, so that an ordinary step overshoots."
        cure, code, layer = None, None, ratio[1] if is_deep else path.rsplit("/", 1)[0]
        if is_steep or is_deep:
            evidence["change of the loss per change of a kernel"] = f"{growth[path]:.1e} (fault: > 100, relative)"
        if has_grown:
            cause = "The kernels are so large that the signal grows from layer to layer, and loss and steps with it."
            cure, code, layer = (
                "Draw all kernels again with He's variance, for tanh with Glorot's.",
                _drawn_again("HeNormal"),
                None,
            )
            evidence |= _first_kernel(record)
        worst = severity(record, rule.id, "high" if is_fatal else "medium")
        yield rule.found(
            cause,
            evidence,
            severity=worst,
            confidence=0.9 if worst != "low" else 0.5,
            layer=layer,
            steps=(ends[0]["step"], probe["step"]),
            cure=cure,
            code=code,
        )
        return


def _first_kernel(record):
    """The size of the first hidden kernel beside He's, as evidence."""
    for layer, kernel in measures.hidden_kernels(record):
        shape = kernel.get("shape") or []
        if kernel.get("rms") and len(shape) > 1:
            he = math.sqrt(2 / math.prod(shape[:-1]))
            return {f"kernel of {layer['name']}, root mean square": f"{kernel['rms']:.3g} (He: {he:.3g})"}
    return {}


def _drawn_again(initializer):
    """Code that draws all kernels of a model again, those of recurrent cells, too."""
    return (
        "for weight in model.trainable_weights:\n"
        "    if len(weight.shape) > 1:\n"
        f"        weight.assign(keras.initializers.{initializer}()(weight.shape))\n"
        "# Compile the model again before `fit`: a new optimizer has no momentum from the old steps."
    )


def _signal(rule, record, is_wrong, cause, criterion):
    """Findings on the spread of the signal at the last hidden layer relative to the first, before the first step."""
    probe = next(iter(_ends(record)), None)
    ratio = measures.forward_ratio(record, probe) if probe else None
    if ratio is None:
        if probe is None or len(measures.spreads(record, probe)) < 3:
            yield _too_few(rule, record)
        return
    state = progress(record)
    if not is_wrong(ratio[0]):
        return
    # The gradient's own rules name the consequence; the signal alone is medium only where nothing else leads.
    is_extreme = not 1e-4 <= ratio[0] <= 1e4
    worst = (
        "medium" if state.stuck and is_extreme and leading(record) is None and not has_other_cause(record) else "low"
    )
    yield rule.found(
        cause,
        {
            "spread of the signal": f"{ratio[0]:.1e} at the last hidden layer relative to the first ({criterion})",
            "training loss": state.text,
        },
        severity=worst,
        confidence=0.8,
        layer=ratio[1],
        steps=(probe["step"], probe["step"]),
    )


def _shrinking_signal(rule, record):
    cause = "The signal gets smaller from layer to layer, and the gradient of the weights with it."
    yield from _signal(rule, record, lambda ratio: ratio < 0.05, cause, "fault: below 0.05")


def _growing_signal(rule, record):
    cause = "The signal grows from layer to layer, and the loss and its gradient with it."
    yield from _signal(rule, record, lambda ratio: ratio > 30, cause, "fault: above 30")


RULES = [
    Rule(
        id="zero-gradient",
        severity="high",
        criterion="‖∂L/∂w‖ = 0 exactly on the probe, for all trainable kernels or for some; high for all of them "
        "while the loss is no better than that of a constant prediction",
        scale_free="Zero has no scale.",
        unknown_when="No probe holds gradients.",
        lecture="Deck A, activation functions: the learning goes on only if the gradient is non-zero",
        cure="Look for dead or saturated units, for an operation without a derivative (argmax, round) and for detached "
        "layers between this layer and the loss; initialize with He's or Glorot's variance.",
        code='keras.layers.Dense(64, activation="leaky_relu", kernel_initializer="he_normal")',
        judge=_zero_gradient,
    ),
    Rule(
        id="vanishing-gradient",
        severity="medium",
        criterion="‖∂L/∂a₁‖ / ‖∂L/∂aₙ‖ ≤ 1e-2, a₁ and aₙ the outputs of the first and last hidden layer; medium at "
        "1e-3 while the loss is no better than that of a constant prediction",
        scale_free="Both gradients are of the same loss on the same samples, so its scale and the batch size cancel.",
        unknown_when="The model has fewer than three hidden layers with kernels, or their gradients were not measured.",
        lecture="Deck C, gradients that vanish through small outputs and saturated activations",
        cure="Use ReLU with He initialization in all hidden layers, batch normalization or residual connections.",
        code='keras.layers.Dense(64, activation="relu", kernel_initializer="he_normal")',
        judge=_vanishing_gradient,
    ),
    Rule(
        id="exploding-gradient",
        severity="high",
        criterion="‖∂L/∂w‖·‖w‖/|L| > 100 for a kernel w, ‖∂L/∂a₁‖/‖∂L/∂aₙ‖ > 1e3, or std(aₙ)/std(a₁) > 100 at the "
        "start; medium if it was so before the first step and the loss makes no progress, high if the loss rises and "
        "stays",
        scale_free="The first number is the relative change of the loss per relative change of the weight.",
        unknown_when="No probe holds gradients and norms of kernels.",
        lecture="Deck B, initialization: a too large initialization leads to exploding gradients",
        cure="Initialize with He's or Glorot's variance, and clip the norm of the gradient.",
        code="model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), loss=model.loss)\n"
        '# and kernel_initializer="glorot_uniform" in each layer',
        judge=_exploding_gradient,
    ),
    Rule(
        id="shrinking-signal",
        severity="low",
        criterion="std(aₙ)/std(a₁) < 0.05 before the first step, a₁ and aₙ the outputs of the first and last hidden "
        "layer",
        scale_free="A ratio of two signals of the same model on the same samples.",
        unknown_when="The model has fewer than three hidden layers with kernels.",
        lecture="Deck C, vanishing gradient through small outputs; deck B, the variance remains the same across layers",
        cure="Initialize so that the variance stays the same: He for ReLU, Glorot for tanh; or normalize each layer.",
        code='keras.layers.Dense(64, activation="relu", kernel_initializer="he_normal")',
        judge=_shrinking_signal,
    ),
    Rule(
        id="growing-signal",
        severity="low",
        criterion="std(aₙ)/std(a₁) > 30 before the first step, a₁ and aₙ the outputs of the first and last hidden "
        "layer",
        scale_free="A ratio of two signals of the same model on the same samples.",
        unknown_when="The model has fewer than three hidden layers with kernels.",
        lecture="Deck C, big random numbers; deck B, the variance remains the same across layers",
        cure="Initialize so that the variance stays the same: He for ReLU, Glorot for tanh; or normalize each layer.",
        code='keras.layers.Dense(64, activation="relu", kernel_initializer="he_normal")',
        judge=_growing_signal,
    ),
    *units.RULES,
]
