"""A rebuilt model with the reasons and the code of its changes."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class Prescription:
    """A changed copy of a model, its changes and what was left.

    Attributes:
        model: The rebuilt and compiled model, or `None` if there was nothing that could be changed.
        diff: A unified diff of two programs, of the model as it was and as it is now.
        code: The second program as a whole, which builds and compiles the model.
        changes: One sentence for each change, with its rule and layer.
        refused: `(rule, layer, why)` for each finding that was left as it is.
    """

    model: keras.Model | None
    diff: str
    changes: list[str]
    refused: list[tuple[str, str | None, str]]
    code: str = ""

    def __str__(self) -> str:
        if self.model is None:
            left = [f"{rule}{f' [{layer}]' if layer else ''} is refused: {why}" for rule, layer, why in self.refused]
            return "\n".join(["Nothing is changed.", *left])
        return "\n".join([*self.changes, self.diff])
