"""The outputs of a model, each with its loss and its target."""

import dataclasses
from typing import Any

from keras_lecture.diagnosis._rules.harm import layers

ENTROPIES = ("categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy")


@dataclasses.dataclass(frozen=True)
class Head:
    """An output, its loss and its target."""

    name: str
    layer: str | None
    activation: str | None
    # Of the layer whose outputs the last activation receives.
    before: str | None
    shape: tuple[int | None, ...]
    output: dict[str, Any]
    loss: str
    family: str | None
    from_logits: bool | None
    ignore_class: int | None
    target: str
    facts: dict[str, Any]
    is_accuracy_watched: bool

    @property
    def units(self) -> int | None:
        return self.shape[-1] if self.shape else 1

    @property
    def kind(self) -> str | None:
        return self.facts.get("kind")

    @property
    def has_labels_outside(self) -> bool:
        """Whether class numbers lie outside of the outputs, so that the loss is not finite or an error."""
        low, high = self.facts.get("smallest"), self.facts.get("largest")
        if self.family != "sparse_categorical_crossentropy" or low is None or high is None:
            return False
        is_ignored = self.ignore_class is not None and self.ignore_class in (low, high)
        return not is_ignored and (low < 0 or (self.units is not None and high >= self.units))

    @property
    def row_sum(self) -> float | None:
        """The mean sum of a row of the target, if it has a column for each unit; `None` if it is not known."""
        shape, mean = self.facts.get("shape") or (), self.facts.get("mean")
        is_row = len(shape) == len(self.shape) > 0 and shape[-1] == self.units and (self.units or 0) > 1
        return mean * self.units if is_row and mean is not None else None

    @property
    def has_rows_of_another_sum(self) -> bool:
        """Whether a cross entropy of probabilities gets rows whose sums are far from one."""
        is_known = self.family == "categorical_crossentropy" and self.kind in ("numbers", "classes")
        return is_known and self.row_sum is not None and abs(self.row_sum - 1) > 0.1

    @property
    def is_softmax(self) -> bool:
        """By name, or because the rows of the probe sum to one."""
        return self.activation in ("softmax", "sparsemax") or bool(self.output.get("sums_to_one"))

    @property
    def is_single_softmax(self) -> bool:
        return self.units == 1 and self.activation == "softmax"

    @property
    def is_probability(self) -> bool:
        """Whether the values are in [0, 1] by the activation; by the probe if the activation is unknown."""
        if self.activation in ("sigmoid", "hard_sigmoid", "softmax", "sparsemax"):
            return True
        if self.activation in ("linear", "relu", "tanh", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus"):
            return False
        low, high = self.output.get("smallest"), self.output.get("largest")
        return low is None or high is None or (float(low) >= 0 and float(high) <= 1)


def heads(record: dict[str, Any]) -> list[Head]:
    """One entry for each output with a loss; without outputs of known number, none."""
    model, data = record.get("model") or {}, record.get("data") or {}
    outputs, losses, targets = model.get("outputs") or [], model.get("losses") or [], data.get("targets") or []
    measured = (record.get("start") or {}).get("outputs") or []
    result = []
    for index, output in enumerate(outputs):
        named = [loss for loss in losses if loss.get("output") == output.get("name")]
        unnamed = len(losses) == len(outputs) and not any(loss.get("output") for loss in losses)
        loss = named[0] if named else losses[index] if unnamed else None
        if loss is None:
            continue
        facts = _target(targets, output.get("name"), index, len(outputs)) | {"is_batch": data.get("whole") is False}
        seen = output | (measured[index] if len(measured) == len(outputs) else {})
        last, before = (*_activations(record, output), None, None)[:2]
        result.append(
            Head(
                name="the output" if len(outputs) == 1 else f"output {output.get('name')!r}",
                layer=output.get("layer"),
                activation=output.get("activation") or last,
                before=before,
                shape=tuple(output.get("shape") or ()),
                output=seen,
                loss=loss.get("class") or "the loss",
                family=loss.get("family"),
                from_logits=loss.get("from_logits"),
                ignore_class=loss.get("ignore_class"),
                target=facts.get("name", "y"),
                facts=facts,
                is_accuracy_watched=_watches_accuracy(record),
            )
        )
    return result


def _activations(record, output):
    """The activations of the output's layer and of its sources, the last one first, up to a layer with several.

    A layer that only reshapes or casts has that of its source.
    """
    by_name = {layer["name"]: layer for layer in layers(record)}
    layer = by_name.get(output.get("layer"))
    for _ in range(len(by_name)):
        if layer is None:
            return
        if layer.get("class") not in TRANSPARENT:
            yield layer.get("activation")
        sources = [by_name.get(name) for name in layer.get("sources") or ()]
        layer = sources[0] if len(sources) == 1 else None


TRANSPARENT = ("Dropout", "Reshape", "Flatten", "Permute", "Identity", "ActivityRegularization")


def _target(targets, name, index, count):
    named = [facts for facts in targets if facts.get("name") == f"y[{name!r}]"]
    if named:
        return named[0]
    return targets[index] if len(targets) == count else {}


def _watches_accuracy(record):
    logs = [epoch.get("logs") or {} for epoch in (record.get("epochs") or [])[:1]]
    return any("acc" in key for log in logs for key in log)
