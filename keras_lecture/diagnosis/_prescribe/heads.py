"""Changes of the output layer and of the loss."""

import re

import keras

from keras_lecture.diagnosis._facts.calls import activation
from keras_lecture.diagnosis._prescribe.plan import Plan
from keras_lecture.diagnosis._prescribe.structure import Refusal
from keras_lecture.diagnosis._rules.rule import Finding

_CATEGORICAL = ("categorical_crossentropy", "sparse_categorical_crossentropy")
_ACTIVATION_LAYERS = (keras.layers.Activation, keras.layers.Softmax, keras.layers.ReLU)
# Metrics that compare the largest score alone: they mean the same for scores and for probabilities.
_OF_THE_LARGEST = ("accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy")


class Head:
    """The output that a finding is about: its last layers and its loss, as planned so far."""

    def __init__(self, plan: Plan, finding: Finding) -> None:
        self.plan = plan
        structure = plan.structure
        ends = structure.ends()
        if finding.layer is None and len(ends) > 1:
            raise Refusal("The finding does not say which of the outputs it is about.")
        found = [index for index, end in enumerate(ends) if finding.layer in (None, getattr(end, "name", None))]
        if len(found) != 1:
            raise Refusal(f"{finding.layer} is not the last layer of exactly one output.")
        self.index, self.end = found[0], ends[found[0]]
        self.kernel = structure.only(structure.head(self.end))
        if structure.calls(self.kernel) > 1:
            raise Refusal(f"{self.kernel.name} is shared: it is called {structure.calls(self.kernel)} times.")
        self.facts = plan.losses.facts(self.index)

    @property
    def activations(self) -> list[keras.layers.Layer]:
        """The layers with activations behind the kernel."""
        found, layer = [], self.end
        while layer is not self.kernel:
            if isinstance(layer, _ACTIVATION_LAYERS):
                found.append(layer)
            elif not isinstance(layer, keras.layers.Layer):
                raise Refusal(f"{layer.name}, an operation behind {self.kernel.name}, may be an activation.")
            layer = self.plan.structure.before(layer)[0]
            if layer is None or isinstance(layer, keras.Model):
                break
        return found

    @property
    def activation(self) -> str:
        """The name of the last activation."""
        behind = self.activations
        if behind and behind[0].name not in self.plan.removed:
            return activation(behind[0]) or "linear"
        planned = self.plan.setting(self.kernel, "activation")
        return planned if isinstance(planned, str) else activation(self.kernel) or "linear"

    @property
    def units(self) -> int:
        """The number of outputs."""
        return self.plan.setting(self.kernel, _size(self.kernel)) or 1

    def activate(self, name: str) -> None:
        """Gives the output another activation."""
        behind = self.activations
        for layer in behind:
            # An output of several is found by the name of its layer.
            if layer is self.end and len(self.plan.structure.ends()) > 1:
                self.plan.replaced[layer.name] = keras.layers.Activation(name, name=layer.name)
                name = "linear"
            else:
                self.plan.removed.add(layer.name)
        if "activation" in self.kernel.get_config():
            self.plan.set(self.kernel, activation=name)
        elif name != "linear":
            raise Refusal(f"{self.kernel.name} has no argument for an activation.")

    def resize(self, units: int) -> None:
        """Gives the output another number of units, and new weights."""
        if any(type(layer).__name__ in ("Reshape",) for layer in self.plan.structure.behind(self.kernel)):
            raise Refusal(f"A Reshape behind {self.kernel.name} contains its number of units.")
        self.plan.set(self.kernel, **{_size(self.kernel): units})
        self.plan.fresh.add(self.kernel.name)

    def lose(self, name: str, **options: object) -> None:
        """Gives the output another loss, or the same one with other options."""
        present = self.plan.losses[self.index]
        config = present.get_config() if isinstance(present, keras.losses.Loss) else {}
        kind = getattr(keras.losses, name)
        if type(present) is not kind:
            config = {key: value for key, value in config.items() if key == "reduction"}
        self.plan.losses.set(self.index, kind.from_config({**config, **options}))

    def score(self, family: str) -> str:
        """Makes the outputs scores of exclusive classes; probabilities where a metric reads them."""
        logits = self._may_be_scores()
        self.activate("linear" if logits else "softmax")
        self.lose(_CLASSES[family], from_logits=logits)
        return _SCORES if logits else "A softmax, and a loss of probabilities."

    def _may_be_scores(self):
        given = [self.plan.arguments.get(name) for name in ("metrics", "weighted_metrics")]
        found = [each for each in keras.tree.flatten(given) if each is not None]
        return all((each if isinstance(each, str) else getattr(each, "name", "")) in _OF_THE_LARGEST for each in found)


_CLASSES = {
    "categorical_crossentropy": "CategoricalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
}
_SCORES = "No last activation, and from_logits=True in the loss: `predict` returns scores, keras.ops.softmax of them "
_SCORES += "probabilities."
_SIGMOID = "A sigmoid, and a binary cross entropy of probabilities."


def _size(layer):
    for name in ("units", "filters"):
        if name in layer.get_config():
            return name
    raise Refusal(f"{layer.name} has neither units nor filters.")


def _sigmoid(head):
    head.activate("sigmoid")
    head.lose("BinaryCrossentropy", from_logits=False)
    return _SIGMOID


def output_loss_mismatch(plan: Plan, finding: Finding) -> str:
    """The last activation that the loss expects, or the loss of the last activation."""
    head = Head(plan, finding)
    family, name = head.facts["family"], head.activation
    is_ours = head.facts["class"] == "SoftmaxCrossEntropy"
    if family in _CATEGORICAL:
        if head.units == 1:
            return _sigmoid(head)
        if is_ours:
            head.activate("linear")
            return "No last activation."
        return head.score(family)
    if family == "binary_crossentropy":
        if "categorical" in finding.cure:
            return head.score("categorical_crossentropy")
        if head.facts["from_logits"] and name not in ("sigmoid", "softmax"):
            head.activate("linear")
            return "No last activation."
        return _sigmoid(head)
    if family in ("squared", "absolute", "hinge"):
        if "cross entropy" in finding.cure:
            raise Refusal(
                "The finding does not say whether the targets are class numbers or one column for each class."
            )
        head.activate("linear")
        return "No last activation."
    raise Refusal(f"The loss {head.facts['class']} is not one of Keras.")


def label_mismatch(plan: Plan, finding: Finding) -> str:
    """The units and the loss that the targets ask for, where the model and not the data is wrong."""
    if "targets" not in finding.evidence:
        raise Refusal("The numbers of the classes are in the data.")
    head = Head(plan, finding)
    family, units = head.facts["family"], head.units
    shape, low, high = _targets(finding)
    width = shape[-1] if shape else 1
    if "binary_crossentropy" in finding.cure:
        return _sigmoid(head)
    if "regression" in finding.cure or "labels to 0 and 1" in finding.cure or low is None:
        raise Refusal("The targets may be wrong, not the model.")
    if family == "sparse_categorical_crossentropy":
        if width == units and width > 1:
            return head.score("categorical_crossentropy")
        return _number_of_classes(head, low, high)
    if family == "categorical_crossentropy" and width == 1:
        return _classes(head, low, high)
    if family == "categorical_crossentropy" and 1 < width != units and low >= 0:
        head.resize(width)
        return f"{width} units, one for each column of the targets."
    if family == "binary_crossentropy" and high > 1 and width == 1:
        return _classes(head, low, high)
    if family in ("squared", "absolute") and width == 1 and head.activation == "softmax":
        return _classes(head, low, high)
    if family in ("squared", "absolute", "binary_crossentropy") and len(shape) == 1 and width != units:
        head.resize(width)
        return f"{width} units, one for each column of the targets."
    raise Refusal("The targets may be wrong, not the model.")


def _classes(head, low, high):
    if low != 0 or high != int(high) or high < 1 or high > 10_000:
        raise Refusal("The targets are not classes that are numbered from 0.")
    if head.units != high + 1:
        head.resize(int(high) + 1)
    return f"{int(high) + 1} units, one for each class. {head.score('sparse_categorical_crossentropy')}"


def _number_of_classes(head, low, high):
    if low != 0 or high < head.units or high > 10_000:
        raise Refusal("Number the classes in the data from 0: then the units are enough.")
    head.resize(int(high) + 1)
    return f"{int(high) + 1} units, one for each class."


def _targets(finding):
    """Shape of a target, its smallest and its largest value, from the evidence."""
    found = re.match(r"shape \('samples'((?:, \d+)*),?\), values (\S+) to (\S+)$", finding.evidence.get("targets", ""))
    if found is None:
        return (), None, None
    return tuple(map(int, re.findall(r"\d+", found[1]))), float(found[2]), float(found[3])


def bad_start(plan: Plan, finding: Finding) -> str:
    """A small kernel in the last layers, so that the first outputs are nearly equal."""
    for layer in plan.structure.heads():
        if "kernel_initializer" in layer.get_config():
            plan.set(layer, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01))
    return "The last kernel starts with a standard deviation of 0.01."
