"""The weights of a model with their layers and roles, and their selection by role."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from keras_lecture._core import checks

# The role of a weight by the attribute under which a Keras layer stores it, which is also the variable's name. Only
# whole names match. The rank does not tell: the biases of attention and GRU are matrices, like gains over several axes.
_ROLES = {
    "kernel": "kernel",
    "depthwise_kernel": "kernel",
    "pointwise_kernel": "kernel",
    "recurrent_kernel": "kernel",
    "embeddings": "kernel",
    "reverse_embeddings": "kernel",
    "bias": "bias",
    "gamma": "gain",
    "beta": "gain",
    "alpha": "gain",
    "scale": "gain",
    "gain": "gain",
}

SELECTIONS = {"kernels": ("kernel",), "biases": ("bias",), "all": ("kernel", "bias", "gain")}


def role(name: str, shape) -> str:
    """`"kernel"`, `"bias"` or `"gain"`; under an unknown name a matrix is a kernel and a vector a gain."""
    return _ROLES.get(name, "kernel" if len(shape) > 1 else "gain")


@dataclass(frozen=True)
class Weight:
    """A variable of a model, the layer that owns it and the attribute under which the layer stores it."""

    layer: keras.layers.Layer
    attribute: str
    variable: keras.Variable

    @property
    def role(self) -> str:
        """`"kernel"`, `"bias"` or `"gain"`."""
        return role(self.attribute, self.variable.shape)

    @property
    def depthwise(self) -> bool:
        """Whether each input channel has its own kernels."""
        own = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
        return self.attribute == "depthwise_kernel" or (self.attribute == "kernel" and isinstance(self.layer, own))

    @property
    def setting(self) -> str:
        """The stem of the layer's arguments for this weight, as `kernel` in `kernel_regularizer`."""
        return "depthwise" if self.depthwise else self.attribute.removesuffix("_kernel")


def layers(model) -> list:
    """`model` and every layer in it, at any depth, each once.

    Keras 3.15 has a public list of layers for models only; this function alone calls the private method.
    """
    return model._flatten_layers()


def weights(model) -> list[Weight]:
    """Every weight of `model`, each once, without moving statistics and seeds.

    A frozen weight is included if its name distinguishes it from a statistic.
    """
    found = {}
    for layer in layers(model):
        for name, value in vars(layer).items():
            if isinstance(value, keras.Variable):
                found.setdefault(id(value), Weight(layer, name.removeprefix("_"), value))
    # Variables that layers store in lists or other containers have no attribute name.
    for variable in model.trainable_variables:
        found.setdefault(id(variable), Weight(model, "", variable))
    return [weight for weight in found.values() if weight.attribute in _ROLES or weight.variable.trainable]


def select(owner: str, model, where: str | Callable) -> list[Weight]:
    """The weights of a built `model` selected by `where`: a key of `SELECTIONS` or a predicate on the variable."""
    checks.instance(owner, "model", model, keras.layers.Layer, "a Keras model or layer")
    if not callable(where):
        checks.one_of(owner, "where", where, SELECTIONS, "A function of the variable selects any other weights.")
    if not model.built:
        checks.reject(owner, "model", "built", model.name, "Call it on a batch, or give it an `Input`, first.")
    chosen = [
        weight
        for weight in weights(model)
        if (where(weight.variable) if callable(where) else weight.role in SELECTIONS[where])
    ]
    if not chosen:
        checks.reject(owner, "where", "a choice of at least one weight", where)
    return chosen


def refuse_adapted(owner: str, chosen: list[Weight]):
    """Raises if a chosen kernel is quantized, or belongs to a layer with LoRA, whose kernel in use is no variable."""
    for weight in chosen:
        if weight.role == "kernel" and not keras.backend.is_float_dtype(weight.variable.dtype):
            remedy = "Its numbers do not train. Call it before `quantize`."
            checks.reject(owner, "model", "without quantized weights in the selected layers", weight.layer.name, remedy)
        if weight.role == "kernel" and getattr(weight.layer, "lora_enabled", False):
            remedy = "Its kernel in use is the frozen one plus a product of factors. Call it before `enable_lora`."
            checks.reject(owner, "model", "without LoRA in the selected layers", weight.layer.name, remedy)


def attach(model, kind: str, values: list[tuple[Weight, object]]):
    """Gives each weight its regularizer or constraint (`kind`), on the variable and in the config of its layer.

    The config is written from the layer's attributes, or from those of the layer that builds it: attention has one
    attribute for all its kernels, which is set if their values agree.
    """
    for weight, value in values:
        # If a wrapper derives the layer's kernel from this variable, the value is to act on the derived kernel.
        derived = getattr(weight.variable, "derived", None)
        setattr(weight.variable, kind, value if derived is None or value is None else derived.seen_by(kind, value))
    for layer in layers(model):
        for attribute in [name for name in vars(layer) if name.endswith(f"_{kind}")]:
            setting = attribute.removeprefix("_").removesuffix(f"_{kind}")
            attached = [getattr(weight.variable, kind) for weight in weights(layer) if weight.setting == setting]
            attached = [getattr(value, "setting", value) for value in attached]
            if attached and all(value is attached[0] for value in attached):
                setattr(layer, attribute, attached[0])
        if isinstance(layer, keras.Model):
            # The traced functions contain the old penalties and constraints.
            layer.train_function = layer.test_function = None


def attachments(layer) -> dict:
    """The regularizers and constraints of a built layer's weights, to be saved in its config.

    Use it for a layer that contains other layers and does not save their configs. For each kind: every value with the
    indices in `layer.weights` of its weights.
    """
    indices = {id(variable): index for index, variable in enumerate(layer.weights)}
    found = {}
    for weight in weights(layer):
        for kind in ("regularizer", "constraint"):
            value = getattr(weight.variable, kind)
            if value is None:
                continue
            config = keras.saving.serialize_keras_object(getattr(value, "setting", value))
            entries = found.setdefault(kind, [])
            same = next((entry for entry in entries if entry[0] == config), None)
            if same is None:
                entries.append(same := [config, []])
            same[1].append(indices[id(weight.variable)])
    return found


def reattach(layer, found: dict):
    """Attaches the regularizers and constraints found by `attachments` to a layer newly built from its config."""
    by_variable = {id(weight.variable): weight for weight in weights(layer)}
    for kind, entries in found.items():
        for config, indices in entries:
            value = keras.saving.deserialize_keras_object(config)
            attach(layer, kind, [(by_variable[id(layer.weights[index])], value) for index in indices])
