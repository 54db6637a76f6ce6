"""Evidence in a record: the losses on the probes and the progress of the run.

    share = (reference − now) / (reference − floor)

`reference` is the loss of the best constant prediction, or the loss at the start where that is unknown; `floor` is the
smallest value that the loss can take. Both cancel the scale of the loss. For a squared error the share is R².
"""

import dataclasses

import keras
import numpy as np

from keras_lecture.diagnosis._record.record import Record
from keras_lecture.diagnosis._rules.heads import ENTROPIES
from keras_lecture.diagnosis._rules.trends import finite, fit_losses, is_falling, thin

# Families of losses that cannot fall below zero.
_NON_NEGATIVE = (*ENTROPIES, "hinge", "squared", "absolute")
# Layers of Keras that compute something else in training, or may have dropout inside.
_OTHER_IN_TRAINING = (
    keras.layers.BatchNormalization,
    keras.layers.MultiHeadAttention,
    keras.layers.RNN,
    keras.layers.SpectralNormalization,
    keras.layers.Wrapper,
)


@dataclasses.dataclass(frozen=True)
class Point:
    """A loss on the probe after so many steps, with its standard error."""

    step: int
    loss: float
    error: float
    accuracy: float | None = None


@dataclasses.dataclass(frozen=True)
class Progress:
    """The progress of the training loss.

    `stage` is `"none"` (no better than a constant prediction), `"little"`, `"good"` or `"unknown"`. `run` is the share
    of the planned steps that are done. `stuck` means that enough steps were done and the loss is still at `"none"`.
    """

    steps: int
    run: float | None
    start: float | None
    now: float | None
    best: float | None
    error: float
    reference: float | None
    floor: float | None
    share: float | None
    best_share: float | None
    kept_share: float | None
    accuracy_gain: float | None
    falling: bool | None
    stage: str
    stuck: bool
    is_chance_known: bool = True

    @property
    def origin(self) -> str:
        """The prediction whose loss the training loss is compared with."""
        return "a constant prediction" if self.is_chance_known else "the untrained model"

    @property
    def lost(self) -> float:
        """The share of the best gain that was lost again."""
        if not self.best_share or self.best_share <= 0.1 or self.kept_share is None:
            return 0.0
        return (self.best_share - self.kept_share) / self.best_share

    @property
    def text(self) -> str:
        """The progress as evidence of a finding."""
        if self.share is None:
            words = {"good": "clear progress", "little": "little progress", "none": "no progress"}
            return f"{words.get(self.stage, 'progress unknown')} after {self.steps} steps"
        if self.share < -0.3:
            return f"{'far ' if self.share < -1.0 else ''}worse than {self.origin} after {self.steps} steps"
        if self.share < 0.001:
            return f"no better than {self.origin} after {self.steps} steps"
        return f"{self.share:.1%} of the way from {self.origin} to a perfect one after {self.steps} steps"


def points(record: Record, part: str) -> list[Point]:
    """The losses without regularization of the `"train"`, `"validation"` or `"training_mode"` part at each probe."""
    result = []
    for probe in record.get("probes", []):
        state = probe.get(part) or {}
        loss = finite(state.get("loss"))
        if loss is not None:
            own = finite(state.get("regularization"))
            loss -= (finite((probe.get("train") or {}).get("regularization")) if own is None else own) or 0.0
            error = finite(state.get("error")) or 0.0
            result.append(Point(int(probe["step"]), loss, error, finite(state.get("accuracy"))))
    return result


def steps_done(record: Record) -> int:
    """The number of optimizer steps that the record covers."""
    steps = [probe["step"] for probe in record.get("probes", [])[-1:]]
    steps += [epoch.get("step") or 0 for epoch in record.get("epochs", [])[-1:]]
    steps += (record.get("losses") or {}).get("steps", [])[-1:]
    return int(max(steps, default=0))


def share_of_run(record: Record) -> float | None:
    """The share of the planned steps that are done."""
    fit = record.get("fit") or {}
    epochs, length = fit.get("epochs"), fit.get("steps_per_epoch")
    if not epochs or not length:
        return None
    return min(1.0, steps_done(record) / max(1, (epochs - (fit.get("initial_epoch") or 0)) * length))


def loss_floor(record: Record) -> float | None:
    """The smallest possible loss: zero, the entropy of smoothed labels, or `None` if the loss is not known."""
    losses = (record.get("model") or {}).get("losses") or []
    outputs = {output.get("name"): output for output in (record.get("model") or {}).get("outputs") or []}
    total = 0.0
    for loss in losses:
        if loss.get("family") not in _NON_NEGATIVE:
            return None
        output = outputs.get(loss.get("output")) or next(iter(outputs.values()), {})
        units = (output.get("shape") or [2])[-1] or 2
        classes = 2 if loss["family"] == "binary_crossentropy" else max(2, units)
        weight = finite(loss.get("weight"))
        total += (1.0 if weight is None else weight) * _smoothed(loss.get("label_smoothing") or 0.0, classes)
    return total if losses else None


def _smoothed(rate, classes):
    """The entropy of one-hot labels smoothed at this rate."""
    shares = np.array([1 - rate + rate / classes] + [rate / classes] * (classes - 1))
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


class Judged(dict):
    """A record during one judgement, so that all rules share its `Progress`."""

    progress: Progress | None = None


def progress(record: Record) -> Progress:
    """The progress of the training loss, in inference or in training mode, whichever is further."""
    if not isinstance(record, Judged):
        return _progress(record)
    if record.progress is None:
        record.progress = _progress(record)
    return record.progress


def _progress(record):
    train = points(record, "train")
    other = {point.step: point.loss for point in points(record, "training_mode")}
    sums = any(loss.get("sums") for loss in (record.get("model") or {}).get("losses") or [])
    if sums or not _differs_in_training(record):
        # It is the loss of fewer samples: their sum is smaller, and the best constant for the others is another one.
        other = {}
    # In training mode the loss is that of fewer samples: only a clear difference comes from the mode.
    other = {p.step: other[p.step] for p in train if p.step in other and p.loss - other[p.step] > 4 * p.error}
    curve = [(p.step, min(p.loss, other.get(p.step, p.loss))) for p in train]
    if len(curve) < 2:
        curve = list(zip(*thin(*fit_losses(record)), strict=True))
    start_of_run = record.get("start") or {}
    chance = finite((start_of_run.get("chance") or {}).get("loss"))
    start = curve[0][1] if curve else finite(start_of_run.get("loss"))
    now, best = (curve[-1][1], min(loss for _, loss in curve)) if curve else (None, None)
    reference, floor = (start if chance is None else chance), loss_floor(record)
    error = train[-1].error if train else 0.0
    # One probe may be a bump: what the last two have in common is lost.
    kept = min((loss for _, loss in curve[-2:]), default=None)
    shares = [_share(reference, loss, floor) for loss in (now, best, kept)]
    gain = _accuracy_gain(train, finite(start_of_run.get("accuracy")))
    falling = is_falling(record)
    steps, run = steps_done(record), share_of_run(record)
    # The loss of a constant comes from the same samples, so that their spread is in both.
    margin = 2 * error if chance is None else 0.0
    stage = _stage(shares[0], gain, (reference, now, error, floor), margin) if len(curve) > 1 else "unknown"
    enough = steps >= 40 and (run is None or run >= (0.5 if falling else 0.25))
    return Progress(
        steps,
        run,
        start,
        now,
        best,
        error,
        reference,
        floor,
        *shares,
        gain,
        falling,
        stage,
        stage == "none" and enough,
        chance is not None,
    )


def _differs_in_training(record):
    """Whether a layer computes something else in training, or may do so."""
    layers = (record.get("model") or {}).get("layers") or [{"class": ""}]
    return any(
        layer.get("rate")
        or layer.get("samples_batch_statistics")
        or not hasattr(keras.layers, layer["class"])
        or issubclass(getattr(keras.layers, layer["class"]), _OTHER_IN_TRAINING)
        or any(word in layer["class"] for word in ("Dropout", "Noise", "Random"))
        for layer in layers
    )


def _share(reference, loss, floor):
    """The share of the way from the reference to the floor."""
    if reference is None or loss is None or floor is None or reference <= floor:
        return None
    return (reference - loss) / (reference - floor)


def _accuracy_gain(train, chance):
    """The share of the way from the accuracy of a constant prediction to 1."""
    if not train or train[-1].accuracy is None or chance is None or chance >= 1:
        return None
    return (train[-1].accuracy - chance) / (1 - chance)


def _stage(share, gain, losses, margin):
    """The stage of the run, from the loss and from the accuracy; a fall within the margin is none."""
    reference, now, error, floor = losses
    if share is None:
        # Without a floor only a fall beyond the error counts, and a small one cannot be judged.
        if floor is not None or reference is None or now is None:
            return "unknown"
        fall = reference - now
        if fall > max(5 * error, 0.1 * abs(reference)):
            return "good"
        return "none" if fall <= margin else "unknown"
    if share >= 0.3 or (gain is not None and gain >= 0.5):
        return "good"
    significant = reference - now > 3 * error
    if share > 0.05 or (share > 0.02 and significant) or (gain is not None and gain > 0.1):
        return "little"
    return "none"
