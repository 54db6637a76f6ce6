"""The situation in which a treatment is chosen, and the change that it makes."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras

from keras_lecture.callbacks._doctor.clipping import Clip
from keras_lecture.callbacks._doctor.rate import Rate
from keras_lecture.callbacks._doctor.state import State
from keras_lecture.callbacks._doctor.trials import Trials
from keras_lecture.diagnosis._record.record import Record
from keras_lecture.diagnosis._rules.rule import Finding

# A trial is better than another if its loss is lower by this share.
_MARGIN = 0.02


@dataclasses.dataclass
class Situation:
    """A run at the time of a treatment; `record` is its part since the latest treatment."""

    model: keras.Model
    record: Record
    finding: Finding
    rate: Rate
    clip: Clip
    trials: Trials
    x: Any
    # The latest state with a healthy loss, and that loss.
    kept: State
    kept_loss: float
    # Whether the state may still be taken back, which a `fit` allows a few times.
    may_return: bool


@dataclasses.dataclass
class Change:
    """A change of the model or its optimizer, and the function that undoes it."""

    kind: str
    text: str
    undo: Callable[[], Any]
    before: float | None = None
    after: float | None = None
    layer: str | None = None


def undoing(s: Situation, state: State) -> Callable[[], None]:
    """Returns a function that puts `state` back, without the learning rate, which is an action of its own."""

    def undo():
        level = s.rate.level
        state.put_back()
        s.rate.level = level

    return undo


def is_better(loss: float, than: float) -> bool:
    """Whether the loss of a trial is clearly lower than that of another one."""
    return loss < than - _MARGIN * abs(than) if math.isfinite(than) else math.isfinite(loss)
