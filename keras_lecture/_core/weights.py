"""The weights of a model by what they are: whose, in which role, and how they are chosen."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from keras_lecture._core import checks

# The attribute that a Keras layer keeps a weight under, which is also the name it gives the variable, says what the
# weight is; compared as a whole, never in part. The rank does not: the biases of attention and of GRU are matrices, and
# so are gains over several axes.
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
    """`"kernel"`, `"bias"` or `"gain"`: under a name of the user's own, a matrix is a kernel and a vector is not."""
    return _ROLES.get(name, "kernel" if len(shape) > 1 else "gain")


@dataclass(frozen=True)
class Weight:
    """One variable of a model, the layer that owns it and the attribute that the layer keeps it under."""

    layer: keras.layers.Layer
    attribute: str
    variable: keras.Variable

    @property
    def role(self) -> str:
        """`"kernel"`, `"bias"` or `"gain"`."""
        return role(self.attribute, self.variable.shape)

    @property
    def depthwise(self) -> bool:
        """Whether each input channel has kernels of its own."""
        own = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
        return self.attribute == "depthwise_kernel" or (self.attribute == "kernel" and isinstance(self.layer, own))

    @property
    def setting(self) -> str:
        """The stem of the layer's own settings for this weight: `kernel` of `kernel_regularizer`."""
        return "depthwise" if self.depthwise else self.attribute.removesuffix("_kernel")


def layers(model) -> list:
    """`model` and every layer in it, at any depth, each once.

    Keras 3.15 has a public list of layers for models only; this is the one place that uses the general one.
    """
    return model._flatten_layers()


def weights(model) -> list[Weight]:
    """Every weight of `model` that training may change, each once; no statistics, no seeds.

    Frozen ones are included where the name tells them from statistics.
    """
    found = {}
    for layer in layers(model):
        for name, value in vars(layer).items():
            if isinstance(value, keras.Variable):
                found.setdefault(id(value), Weight(layer, name.removeprefix("_"), value))
    # What layers keep in lists and the like has no name.
    for variable in model.trainable_variables:
        found.setdefault(id(variable), Weight(model, "", variable))
    return [weight for weight in found.values() if weight.attribute in _ROLES or weight.variable.trainable]


def select(owner: str, model, where: str | Callable) -> list[Weight]:
    """The weights of a built `model` that `where` names: a word of `SELECTIONS` or a predicate on the variable."""
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


def attach(model, kind: str, values: list[tuple[Weight, object]]):
    """Gives each weight its regularizer or constraint (`kind`), in the weight and in the settings that are saved.

    A layer's config is written from its own settings, or from those of the layer that builds it (attention), which has
    one for all of its kernels: that one is set where they agree.
    """
    for weight, value in values:
        # A wrapper that derives a kernel from this one shows that to what is meant for the kernel.
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
            # The traced steps know the penalties and constraints of their time.
            layer.train_function = layer.test_function = None


def attachments(layer) -> dict:
    """The regularizers and constraints of a built layer's weights, to be saved in its config.

    Use it for a layer that makes other layers inside and saves none of their settings. For each kind: every value, and
    the numbers of the weights in `layer.weights` that have it.
    """
    places = {id(variable): place for place, variable in enumerate(layer.weights)}
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
            same[1].append(places[id(weight.variable)])
    return found


def reattach(layer, found: dict):
    """Gives a layer, just built from its config, the regularizers and constraints that `attachments` has found."""
    by_variable = {id(weight.variable): weight for weight in weights(layer)}
    for kind, entries in found.items():
        for config, places in entries:
            value = keras.saving.deserialize_keras_object(config)
            attach(layer, kind, [(by_variable[id(layer.weights[place])], value) for place in places])
