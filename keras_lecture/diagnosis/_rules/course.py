"""Validation against training losses in inference mode, over a run."""

import dataclasses

from keras_lecture.diagnosis._rules.evidence import Point, points
from keras_lecture.diagnosis._rules.trends import finite


@dataclasses.dataclass(frozen=True)
class Course:
    """Validation and training losses at the same probes."""

    validation: list[Point]
    training: list[Point]

    @property
    def best(self) -> int:
        """The index of the smallest validation loss."""
        return min(range(len(self.validation)), key=lambda i: self.validation[i].loss)

    @property
    def rise(self) -> float:
        """How far the validation loss is above its smallest value. One probe may be a bump: what the last two share."""
        return min(point.loss for point in self.validation[-2:]) - self.validation[self.best].loss

    @property
    def is_rising(self) -> bool:
        """Whether it has risen beyond its error."""
        least = 3 * max(self.validation[self.best].error, 0.0)
        return self.best < len(self.validation) - 2 and self.rise > least

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last step."""
        return self.validation[0].step, self.validation[-1].step


def course_of(record):
    """The losses at the probes with both, or those of the epochs' logs, or `None` below three."""
    training = {point.step: point for point in points(record, "train")}
    both = [(point, training[point.step]) for point in points(record, "validation") if point.step in training]
    if len(both) < 3:
        both = [pair for pair in map(_logged, record.get("epochs") or []) if pair is not None]
    return Course(*(list(part) for part in zip(*both, strict=True))) if len(both) >= 3 else None


def _logged(epoch):
    """The losses of an epoch's logs; no error is known, so 5 % of the loss stand for it."""
    logs, step = epoch.get("logs") or {}, int(epoch.get("step") or epoch.get("epoch") or 0)
    losses = [finite(logs.get(name)) for name in ("val_loss", "loss")]
    if None in losses:
        return None
    accuracies = [finite(logs.get(name)) for name in ("val_accuracy", "accuracy")]
    return tuple(Point(step, loss, 0.05 * abs(loss), a) for loss, a in zip(losses, accuracies, strict=True))
