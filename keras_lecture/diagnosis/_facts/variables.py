"""Facts about the variables of a model: their names, which are frozen, which the optimizer has, which are untracked."""

import collections

import keras

from keras_lecture._core.weights import layers
from keras_lecture._training.chain import innermost

# Types of the frameworks that hold numbers to be trained, and that Keras does not track.
_FOREIGN = ("ResourceVariable", "Parameter", "UninitializedVariable")


def named_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Trainable, non-trainable and optimizer variables by path; a path that occurs again has `#2`, `#3`, … added."""
    optimizer = getattr(model, "optimizer", None)
    own = list(optimizer.variables) if isinstance(optimizer, keras.optimizers.Optimizer) else []
    named: dict[str, keras.Variable] = {}
    counts: dict[str, int] = {}
    for variable in [*model.trainable_variables, *model.non_trainable_variables, *own]:
        counts[variable.path] = count = counts.get(variable.path, 0) + 1
        named[variable.path if count == 1 else f"{variable.path}#{count}"] = variable
    return named


def shared_paths(model: keras.Model) -> list[str]:
    """Paths of several trainable weights of which `zero_grad` reaches one: Keras 3.15 on PyTorch keeps them by path."""
    if keras.backend.backend() != "torch":
        return []
    reached = {id(parameter) for parameter in model.parameters()}
    counts = collections.Counter(v.path for v in model.trainable_variables)
    return sorted({v.path for v in model.trainable_variables if counts[v.path] > 1 and id(v.value) not in reached})


def frozen(model: keras.Model) -> list[keras.Variable]:
    """The weights that would be trained if their layer were not frozen; statistics and counters are not among them.

    Spectral normalization assigns the kernel of its layer in every training call, also of a frozen one.
    """
    spectral = [layer for layer in layers(model) if isinstance(layer, keras.layers.SpectralNormalization)]
    assigned = {id(variable) for layer in spectral for variable in layer.variables}
    found = {id(v): v for layer in layers(model) for v in _own(layer) if not _is_trained(v, layer)}
    trained = {id(v) for v in model.trainable_variables}
    return [v for key, v in found.items() if key not in assigned and key not in trained]


def _own(layer):
    return getattr(layer, "_trainable_variables", ())


def _is_trained(variable, layer):
    return variable.trainable and layer.trainable


def written_modes(model: keras.Model) -> list[tuple[keras.layers.Layer, bool]]:
    """The layers of functional models whose call in the graph has an argument `training`, and its value."""
    depths = [nodes for part in layers(model) for nodes in getattr(part, "_nodes_by_depth", {}).values()]
    nodes = [node for each in depths for node in each]
    found = [(node.operation, node.arguments.kwargs.get("training")) for node in nodes]
    layered = [
        (layer, mode) for layer, mode in found if isinstance(mode, bool) and isinstance(layer, keras.layers.Layer)
    ]
    # Keras itself writes `training=False` for single layers; for a model or batch normalization it is the user's.
    fixed = (keras.Model, keras.layers.BatchNormalization)
    return [(layer, mode) for layer, mode in layered if mode or isinstance(layer, fixed)]


def has_custom_train_step(model: keras.Model) -> bool:
    """Whether the class of the model overrides `train_step`."""
    return type(model).train_step is not keras.Model.train_step


def has_custom_test_step(model: keras.Model) -> bool:
    """Whether the class of the model overrides `test_step`."""
    return type(model).test_step is not keras.Model.test_step


def has_custom_loss(model: keras.Model) -> bool:
    """Whether the class of the model overrides `compute_loss`."""
    return type(model).compute_loss is not keras.Model.compute_loss


def compared_with_optimizer(model: keras.Model) -> tuple[list[str], list[str], str | None]:
    """Trainable weights that the optimizer lacks, frozen weights that it has, and why it could not be judged."""
    optimizer = innermost(getattr(model, "optimizer", None))
    if has_custom_train_step(model):
        return [], [], "the model has its own `train_step`, which may use several optimizers"
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return [], [], "the model has no optimizer"
    held = list(getattr(optimizer, "_trainable_variables", ()))
    if not optimizer.built or not held:
        return [], [], "the optimizer has no variables yet"
    keys = {id(v) for v in held}
    trained = {id(v) for v in model.trainable_variables}
    missing = [v.path for v in model.trainable_variables if id(v) not in keys]
    extra = [v.path for v in held if id(v) not in trained]
    return missing, extra, None


def untracked(model: keras.Model, read: list[keras.Variable]) -> list[str]:
    """Paths of trainable variables that the model's pass read and that are none of the model's own.

    Also attributes of layers that hold a trainable variable of the framework itself.
    """
    known = {id(v) for v in [*model.variables, *model.metrics_variables]}
    known |= {id(v) for layer in layers(model) for v in _own(layer)}
    found = [v.path for v in read if id(v) not in known and v.trainable and keras.backend.is_float_dtype(v.dtype)]
    for layer in layers(model):
        values = {**vars(layer), **(vars(layer).get("_parameters") or {})}
        found += [f"{layer.name}.{name}" for name, value in values.items() if _is_foreign(value)]
    return found


def _is_foreign(value):
    kind = type(value)
    if kind.__module__.split(".")[0] not in ("tensorflow", "torch") or kind.__name__ not in _FOREIGN:
        return False
    trainable = getattr(value, "trainable", getattr(value, "requires_grad", False))
    return bool(trainable) and any(name in str(value.dtype) for name in ("float16", "float32", "float64"))
