"""The stages of a training step and their order."""

import enum
from typing import TYPE_CHECKING, Any

import keras

from keras_lecture._core.types import Tensor
from keras_lecture._training.readings import Readings
from keras_lecture._training.step import Step

if TYPE_CHECKING:
    # It imports this file.
    from keras_lecture._training.training_step import TrainingStep


class Rank(enum.IntEnum):
    """The order of the stages in a step; stages of equal rank keep the order in which they were added."""

    RATE = 0  # sets the learning rate of the step: a sweep, a reduced schedule
    LOOK_AHEAD = 1  # moves the weights to the point at which the gradient is taken
    OBSERVER = 2  # measures, clips or skips, in the order of `fit`'s callbacks
    SEARCH = 3  # evaluates the loss again


class Stage:
    """A part of a training step; a subclass overrides the methods it needs.

    `open` is called before the forward pass, `before` when the gradients are known and no weight has moved, `after`
    when the weights have moved, `close` at the end of the train step; `reset` clears what the stage has set on Python
    objects, also after an exception. They are traced and compiled with the step.
    """

    rank = Rank.OBSERVER
    # The `Readings` that `after` updates and the pipeline carries through the step.
    readings: Readings | None = None
    # Whether the stage has seen an optimizer step in this `fit`.
    has_seen = False
    # Whether `before` may skip the step; then the moving statistics and seeds are restored as well.
    refuses = False
    # Whether a train step may apply the optimizer only once with this stage.
    once = False
    # Whether the model and its optimizer must be built before `open`.
    needs_build = False
    # The names that a stage adds to the logs itself.
    logged: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name of the stage in messages."""
        return type(self).__name__

    def check(self, model: keras.Model) -> None:
        """Raises any error that is known in advance, before Keras takes the state out of the model."""

    def prepare(self, variables: list[keras.Variable]) -> None:
        """Makes the `readings` for these trainable variables."""

    def open(self, step: "TrainingStep") -> None:
        """Acts before the forward pass of the `TrainingStep`."""

    def weights_of(self, variables: list[keras.Variable]) -> list[Tensor] | None:
        """The weights from which the step starts, if `open` has moved the variables, else `None`."""
        return None

    def differentiated(self, loss: Tensor) -> Tensor:
        """The loss to differentiate, in place of the logged loss of the batch."""
        return loss

    def before(self, step: Step) -> Any:
        """Reads or changes the optimizer's `Step`; returns a memo for `after`."""

    def after(self, step: Step, memo: Any) -> tuple[Any, ...] | None:
        """Returns the measurements as arguments of `readings.update_state`."""

    def close(self, step: "TrainingStep") -> None:
        """Acts after the optimizer step."""

    def reset(self) -> None:
        """Clears the state that belongs to a single step."""

    def unseen(self, reason: str) -> None:
        """Called once per `fit` in which the stage cannot see the optimizer steps."""
