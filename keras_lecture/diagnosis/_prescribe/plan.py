"""The changes of a model as data: entries of configs, layers put in, taken out and replaced, arguments of `compile`."""

import copy
import dataclasses
from typing import Any

import keras

from keras_lecture.diagnosis._prescribe.compiled import Losses
from keras_lecture.diagnosis._prescribe.structure import Refusal, Structure


@dataclasses.dataclass
class Plan:
    """Changes by the names of layers, and the model that they are planned for.

    Attributes:
        configs: Entries of a layer's config that change.
        before, behind: New layers around a layer.
        removed, replaced: Layers without or with another one in their place.
        fresh: Layers whose weights are drawn again although their config stays.
        adapted: New layers with statistics of the data, and the code that names the data.
        arguments: The arguments of `compile`, as objects.
        optimizer: Entries of the config of the innermost optimizer that change.
        changes: Sentences about these changes, each with its rule and layer.
    """

    structure: Structure
    arguments: dict[str, Any]
    x: Any = None
    configs: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    before: dict[str, list[keras.layers.Layer]] = dataclasses.field(default_factory=dict)
    behind: dict[str, list[keras.layers.Layer]] = dataclasses.field(default_factory=dict)
    removed: set[str] = dataclasses.field(default_factory=set)
    replaced: dict[str, keras.layers.Layer] = dataclasses.field(default_factory=dict)
    fresh: set[str] = dataclasses.field(default_factory=set)
    adapted: dict[str, str] = dataclasses.field(default_factory=dict)
    trainable: set[str] = dataclasses.field(default_factory=set)
    optimizer: dict[str, Any] = dataclasses.field(default_factory=dict)
    changes: list[str] = dataclasses.field(default_factory=list)

    def setting(self, layer: keras.layers.Layer, name: str) -> Any:
        """An entry of a layer's config, as planned so far."""
        planned = self.configs.get(layer.name, {})
        return planned[name] if name in planned else layer.get_config().get(name)

    def set(self, layer: keras.layers.Layer, **entries: Any) -> None:
        """Changes entries of a layer's config."""
        self.structure.only(layer)
        self.configs.setdefault(layer.name, {}).update(entries)

    def put(self, where: str, layer: keras.layers.Layer, new: list[keras.layers.Layer]) -> None:
        """Puts new layers `before` or `behind` a layer that is called once."""
        self.structure.only(layer)
        if self.structure.calls(layer) > 1:
            raise Refusal(f"{layer.name} is shared: it is called {self.structure.calls(layer)} times.")
        getattr(self, where).setdefault(layer.name, []).extend(new)

    def name(self, stem: str) -> str:
        """A name that no layer has, old or new."""
        used = {layer.name for layer in self.structure.every} | {
            layer.name for group in (*self.before.values(), *self.behind.values()) for layer in group
        }
        names = (stem if not number else f"{stem}_{number}" for number in range(len(used) + 1))
        return next(name for name in names if name not in used)

    def trial(self) -> "Plan":
        """A copy that a change may alter before it finds that it cannot be made."""
        entries = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        copies = {name: copy.copy(value) for name, value in entries.items() if isinstance(value, dict | set | list)}
        for name in ("configs", "before", "behind"):
            copies[name] = {key: copy.copy(value) for key, value in entries[name].items()}
        return dataclasses.replace(self, **copies | {"x": self.x})

    @property
    def losses(self) -> Losses:
        """The loss of each output, as planned so far."""
        return Losses(self.structure.model, self.arguments)

    @property
    def only_optimizer(self) -> bool:
        """Whether nothing changes but the optimizer."""
        return not self.changes or bool(self.optimizer) and not (self.configs or self.before or self.behind)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not self.changes
