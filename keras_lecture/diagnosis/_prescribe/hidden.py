"""Changes of hidden layers: initialization, activation, normalization, size."""

import re
from collections.abc import Callable
from typing import Any

import keras

from keras_lecture.diagnosis._facts.calls import activation
from keras_lecture.diagnosis._prescribe.plan import Plan
from keras_lecture.diagnosis._prescribe.structure import Refusal
from keras_lecture.diagnosis._rules.rule import Finding

_RECTIFIERS = ("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "swish", "mish", "prelu")
_BOUNDED = ("sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softsign")
_CONSTANT = (keras.initializers.Zeros, keras.initializers.Ones, keras.initializers.Constant)
# Zeros may be there on purpose, as at the end of a residual branch.
_FIXED = (keras.initializers.Ones, keras.initializers.Constant, keras.initializers.RandomNormal)
_FIXED += (keras.initializers.RandomUniform, keras.initializers.TruncatedNormal)
_KERNELS = ("kernel", "depthwise", "pointwise", "recurrent")
_STACKABLE = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def _layers(plan):
    """All layers whose kernels a config describes, the last ones too."""
    every = [*plan.structure.hidden(), *plan.structure.heads()]
    return [layer for layer in every if any(f"{each}_initializer" in layer.get_config() for each in _KERNELS)]


def _activation(plan, layer):
    """The activation of a layer or of the one behind it."""
    own = plan.setting(layer, "activation")
    own = own if isinstance(own, str) else activation(layer)
    behind = plan.structure.behind(layer)
    if own in (None, "linear") and len(behind) == 1 and isinstance(behind[0], keras.layers.Layer):
        if isinstance(behind[0], keras.layers.BatchNormalization):
            behind = plan.structure.behind(behind[0])
        return (activation(behind[0]) if len(behind) == 1 else None) or "linear"
    return own or "linear"


def _initializer(layer, name):
    value = getattr(layer, f"{name}_initializer", None)
    return value if value is not None else getattr(getattr(layer, "cell", None), f"{name}_initializer", None)


def _is_odd(layer, name):
    """Whether a kernel starts with a spread that does not depend on the number of its connections."""
    value = _initializer(layer, name)
    if isinstance(value, keras.initializers.Orthogonal):
        return not 0.7 <= value.gain <= 1.45
    if isinstance(value, keras.initializers.VarianceScaling):
        return not 0.3 <= value.scale <= 3.0
    return isinstance(value, _FIXED)


def _is_zero(layer, name):
    return isinstance(_initializer(layer, name), keras.initializers.Zeros)


def _good(plan, layer, name):
    if name == "recurrent":
        return "orthogonal"
    kind = _activation(plan, layer)
    return "lecun_normal" if kind == "selu" else "he_normal" if kind in _RECTIFIERS else "glorot_uniform"


def _redraw(plan, layers, is_wrong):
    """Gives the kernels that are wrong a variance that fits their connections; the names of their layers."""
    names = []
    for layer in layers:
        planned = plan.configs.get(layer.name, {})
        wrong = [name for name in _KERNELS if f"{name}_initializer" not in planned and is_wrong(layer, name)]
        entries = {f"{name}_initializer": _good(plan, layer, name) for name in wrong}
        bias = _initializer(layer, "bias")
        if isinstance(bias, keras.initializers.Constant) and bias.value and "bias_initializer" not in planned:
            entries["bias_initializer"] = "zeros"
        if entries:
            plan.set(layer, **entries)
            plan.fresh.add(layer.name)
            names.append(layer.name)
    return names


def symmetric_units(plan: Plan, finding: Finding) -> str:
    """Random kernels in place of constant ones."""
    names = _redraw(plan, _layers(plan), lambda layer, name: isinstance(_initializer(layer, name), _CONSTANT))
    if not names:
        layer = plan.structure.find(finding.layer)
        plan.fresh.add(layer.name)
        names = [layer.name]
    return f"The kernels of {_listed(names)} are drawn at random."


def start(plan: Plan, is_wrong: Callable[[Any, str], bool]) -> str | None:
    """He's or Glorot's variance where a kernel starts with another one; `None` if there is no such kernel."""
    names = _redraw(plan, _layers(plan), is_wrong)
    return f"He's or Glorot's variance in {_listed(names)}." if names else None


def unsuitable_start(plan: Plan, finding: Finding) -> str:
    """Another start, or normalization where the start is right."""
    text = start(plan, _is_odd)
    cells = [layer for layer in plan.structure.hidden() if _is_recurrent(layer)]
    rectified = [layer for layer in cells if _activation(plan, layer) in _RECTIFIERS]
    for layer in rectified:
        plan.set(layer, activation="tanh")
        plan.fresh.add(layer.name)
    text = " ".join([*([text] if text else []), *(["tanh in recurrent layers."] if rectified else [])])
    return text or _if_serious(finding) or normalize(plan)


def _if_serious(finding):
    """Refuses to go further than a wrong start for a finding that says of no harm."""
    if finding.severity == "low":
        raise Refusal("The finding is of low severity: nothing says that it does harm.")


def exploding_gradient(plan: Plan, finding: Finding) -> str:
    """Another start or normalization, and a clipped gradient."""
    text = unsuitable_start(plan, finding)
    plan.optimizer |= {"global_clipnorm": 1.0, "clipnorm": None, "clipvalue": None}
    return f"{text} The norm of the gradient is clipped."


def _is_recurrent(layer):
    return isinstance(layer, keras.layers.RNN)


def flat_activation(plan: Plan, finding: Finding) -> str:
    """Another start, or ReLU where the start is right."""
    text = start(plan, _is_odd)
    if text:
        return text
    _if_serious(finding)
    found = [layer for layer in plan.structure.hidden() if _activation(plan, layer) in _BOUNDED]
    plain = [layer for layer in found if not _is_recurrent(layer) and plan.setting(layer, "activation") in _BOUNDED]
    if not plain:
        raise Refusal("No hidden layer has a bounded activation that can be exchanged, or a kernel with another start.")
    for layer in plain:
        plan.set(layer, activation="relu", kernel_initializer="he_normal")
        plan.fresh.add(layer.name)
    text = f"ReLU and He's variance in {_listed([layer.name for layer in plain])}."
    # Rectified layers in a long row die or drift apart.
    return f"{text} {normalize(plan)}" if len(plain) > 5 else text


def dead_relu(plan: Plan, finding: Finding) -> str:
    """Another start and biases of zero, or leaky ReLUs where the start is right."""
    text = start(plan, lambda layer, name: _is_odd(layer, name) or _is_zero(layer, name))
    if text:
        return text
    _if_serious(finding)
    names = []
    for layer in plan.structure.every:
        if isinstance(layer, keras.layers.ReLU):
            plan.replaced[layer.name] = keras.layers.LeakyReLU(name=layer.name)
        elif plan.structure.heads().count(layer) or plan.setting(layer, "activation") != "relu":
            continue
        else:
            plan.set(layer, activation="leaky_relu", kernel_initializer="he_normal")
            plan.fresh.add(layer.name)
        names.append(layer.name)
    if not names:
        raise Refusal("No layer has a ReLU that can be exchanged.")
    return f"Leaky ReLU in {_listed(names)}."


def normalize(plan: Plan) -> str:
    """Batch normalization between each hidden kernel and its activation."""
    names = []
    for layer in plan.structure.hidden():
        behind = plan.structure.behind(layer)
        if not isinstance(layer, _STACKABLE) or any(_is_normalization(each) for each in behind):
            continue
        kind = plan.setting(layer, "activation")
        kind = kind if isinstance(kind, str) else activation(layer)
        new = [keras.layers.BatchNormalization(name=plan.name(f"{layer.name}_normalization"))]
        if kind not in (None, "linear"):
            new.append(keras.layers.Activation(kind, name=plan.name(f"{layer.name}_activation")))
        plan.put("behind", layer, new)
        plan.set(layer, activation="linear", use_bias=False)
        names.append(layer.name)
    if not names:
        raise Refusal("No hidden layer without normalization can get one.")
    return f"Batch normalization behind {_listed(names)}."


def _is_normalization(layer):
    return "Normalization" in type(layer).__name__


def linear_stack(plan: Plan, finding: Finding) -> str:
    """A ReLU between two linear layers."""
    layer = plan.structure.find(finding.layer)
    plan.set(layer, activation="relu")
    return "A ReLU behind it."


def bottleneck(plan: Plan, finding: Finding) -> str:
    """As many units as the wide layers around it."""
    wide = re.search(r"before (\d+)\)", finding.evidence.get("units", ""))
    return _widen(plan, [plan.structure.find(finding.layer)], int(wide[1]) if wide else 64)


def too_little_capacity(plan: Plan, finding: Finding) -> str:
    """More units, and activations between the layers."""
    hidden = [layer for layer in plan.structure.hidden() if isinstance(layer, _STACKABLE)]
    for layer in hidden:
        if _activation(plan, layer) == "linear":
            plan.set(layer, activation="relu")
    return _widen(plan, hidden, 128)


def _widen(plan, layers, units):
    narrow = []
    for layer in layers:
        size = "units" if "units" in layer.get_config() else "filters"
        if (plan.setting(layer, size) or units) < units:
            if not _is_in_a_row(plan, layer):
                raise Refusal(f"The output of {layer.name} meets another one of the same size.")
            plan.set(layer, **{size: units})
            plan.fresh.add(layer.name)
            narrow.append(layer.name)
    if not narrow:
        return "A ReLU between the linear layers."
    return f"{units} units in {_listed(narrow)}."


def _is_in_a_row(plan, layer):
    return isinstance(plan.structure.owner(layer), keras.Sequential) and plan.structure.calls(layer) == 1


def _listed(names):
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
