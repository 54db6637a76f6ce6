"""The stages of a training step and their order."""

import enum


class Rank(enum.IntEnum):
    """The order of the stages in a step; stages of one rank come in the order in which they were added."""

    RATE = 0  # the learning rate of the step: a sweep, a reduced schedule
    LOOK_AHEAD = 1  # the point at which the gradient is taken
    OBSERVER = 2  # who measures, clips or refuses: in the order of `fit`'s callbacks
    SEARCH = 3  # who evaluates the loss again


class Stage:
    """A part of a training step. Every method may be left as it is.

    `open` is called before the forward pass, `before` when the gradients are known and no weight has moved, `after`
    when the weights have moved, `close` at the end of the train step; `reset` undoes what the stage has left on Python
    objects, after an exception too. They are traced and compiled with the step.
    """

    rank = Rank.OBSERVER
    # The `Readings` that `after` updates and the pipeline carries through the step.
    readings = None
    # Whether it has met the optimizer in this `fit`.
    has_seen = False
    # Whether `before` may refuse the step; then statistics and seeds stay as they were, too.
    refuses = False
    # Whether it takes part in one optimizer step of a train step only.
    once = False
    # Whether the model and its optimizer must be built before `open`.
    needs_build = False
    # The names of what a stage adds to the logs by itself.
    logged = ()

    @property
    def title(self) -> str:
        """The name of what it is in messages."""
        return type(self).__name__

    def check(self, model):
        """Raises what would make the step fail, before Keras hands over the state of the model."""

    def prepare(self, variables):
        """Makes the `readings` for these trainable variables."""

    def open(self, step):
        """Before the forward pass of the `TrainingStep`."""

    def weights_of(self, variables):
        """The weights that the step starts from, where `open` has moved the variables; else `None`."""
        return

    def differentiated(self, loss):
        """The loss to differentiate, in place of the loss of the batch, which is logged."""
        return loss

    def before(self, step):
        """Reads or changes the optimizer's `Step`; returns a memo for `after`."""

    def after(self, step, memo) -> tuple | None:
        """The measurements, arguments of `readings.update_state`."""

    def close(self, step):
        """After the optimizer's step."""

    def reset(self):
        """Forgets what belongs to one step."""

    def unseen(self, reason: str):
        """Called once per `fit` in which the stage cannot see the optimizer's steps."""
