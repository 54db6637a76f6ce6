"""Chooses and applies treatments while a model trains, logs them as actions, and undoes them on request."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lecture._core.random_state import same_random_state
from keras_lecture.callbacks._doctor.clipping import OFF, Clip
from keras_lecture.callbacks._doctor.rate import Rate
from keras_lecture.callbacks._doctor.recording import last_loss
from keras_lecture.callbacks._doctor.refusal import Refused
from keras_lecture.callbacks._doctor.situation import Situation
from keras_lecture.callbacks._doctor.state import State
from keras_lecture.callbacks._doctor.treatments import TREATMENTS
from keras_lecture.callbacks._doctor.trials import Trials
from keras_lecture.callbacks._doctor.window import since
from keras_lecture.diagnosis._record.record import Record
from keras_lecture.diagnosis._rules import judge
from keras_lecture.diagnosis._rules.rule import Finding, Unknown
from keras_lecture.diagnosis._rules.trends import finite

# Findings of a lower confidence or of low severity are not treated.
CONFIDENCE = 0.8
# The largest numbers of actions and of returns to an earlier state in one `fit`.
_ACTIONS, _RETURNS = 8, 3
# A loss that rises may fall again by itself, as after long first steps: these are treated if the next look finds them
# again.
_MAY_HEAL = ("learning-rate-too-high", "exploding-loss")
# Actions that change weights need a copy of the state to be undone; it is kept for the latest ones.
_UNDOABLE = 3


class Treating:
    """The treatments of one `fit`.

    It keeps one copy of the state, that of the epoch with the lowest loss so far, or of the start until a loss is
    below that of a constant prediction.
    """

    def __init__(self, saved: dict[str, Any] | None) -> None:
        saved = saved or {}
        # The probe, the step and the number of epochs after the latest treatment.
        self.base, self.step, self.epochs = saved.get("base"), saved.get("step", 0), saved.get("epochs", 0)
        self._returns, self._saved = saved.get("returns", 0), saved
        # Whether the model was treated and has not been measured since.
        self.is_new = False
        # Whether a finding is open that is treated only if the next look finds it again.
        self.waits = False
        self._refused: set[tuple[str, str | None]] = set()
        self._open: set[tuple[str, str | None]] = set()
        self._undo: list[tuple[dict[str, Any], Any]] = []
        self._kept: State | None = None
        self._lowest: float | None = None
        self._batch = self._rate = self._clip = None

    def begin(self, model: keras.Model, run: Any, record: Record) -> None:
        """Resumes the rate and the limit of an interrupted run."""
        record.setdefault("actions", [])
        record.setdefault("untreated", [])
        self._rate, self._clip = Rate(model, run), Clip(run)
        limit, factor = (self._saved.get(name) for name in ("limit", "factor"))
        if limit and float.fromhex(limit) != OFF:
            self._clip.limit = float.fromhex(limit)
        if factor and float.fromhex(factor) != 1.0 and not self._rate.is_fixed:
            self._rate.level = float.fromhex(factor)

    def start(self, model: keras.Model) -> None:
        """Keeps the state before the first step; that of an interrupted run is restored by then."""
        if self._kept is None:
            self._kept = State(model)

    def measured(self, probe: dict[str, Any] | None) -> None:
        """Receives the probe of the treated model; `None` if it could not be measured."""
        self.base, self.is_new = probe, False

    def open(self, batch: Any) -> None:
        """Receives the samples for trials."""
        self._batch = batch

    def window(self, record: Record) -> Record:
        """The part of the record since the latest treatment."""
        return since(record, self.base, self.step, self.epochs) if self.base or self.step else record

    def judged(self, record: Record, rules: str | Sequence[str]) -> list[Finding | Unknown]:
        """The answers of the rules to the part since the latest treatment, at the steps of the whole run."""
        answers = judge(self.window(record), rules)
        return [self._shifted(answer) if isinstance(answer, Finding) else answer for answer in answers]

    def _shifted(self, finding):
        first, last = finding.first_step + self.step, finding.last_step + self.step
        return dataclasses.replace(finding, first_step=first, last_step=last)

    def keep(self, model: keras.Model, record: Record, loss: Any) -> None:
        """Keeps the state after an epoch with this mean loss, if it is the best so far."""
        loss, level = finite(loss), _level(record)
        if loss is None or level is None or loss >= level - 0.02 * abs(level):
            return
        if self._lowest is None or loss < self._lowest:
            state = State(model)
            if state.is_finite():
                self._kept, self._lowest = state, loss

    def treat(self, model: keras.Model, record: Record, findings: list[Finding], step: int, epoch: int) -> list[str]:
        """Applies the first treatment that is not refused; returns sentences to be printed."""
        said, number = [], len([a for a in record["actions"] if not a["undone"]])
        before, self._open = self._open, {(f.rule, f.layer) for f in findings if _is_serious(f)}
        is_finite, self.waits = np.isfinite(last_loss(record)), False
        for finding in sorted((f for f in findings if _is_serious(f)), key=lambda f: list(TREATMENTS).index(f.rule)):
            key = finding.rule, finding.layer
            if key in self._refused or self._batch is None or self._kept is None:
                continue
            if finding.rule in _MAY_HEAL and key not in before and is_finite:
                self.waits = True
                continue
            if number >= _ACTIONS:
                return said + self._refuse(record, key, f"{number} actions did not help, so that no more are tried")
            reasons, changes = [], []
            for act in TREATMENTS[finding.rule]:
                situation = self._situation(model, record, finding)
                state = State(model)
                try:
                    with same_random_state():
                        changes = act(situation)
                    break
                except Refused as refused:
                    state.put_back()
                    reasons.append(str(refused))
                except Exception:
                    state.put_back()
                    self._refused.add(key)
                    raise
            if changes:
                return said + self._log(record, finding, changes, step, epoch)
            said += self._refuse(record, key, "; ".join(dict.fromkeys(reasons)))
        return said

    def rescue(self, model: keras.Model, record: Record, findings: list[Finding], step: int, epoch: int) -> list[str]:
        """At the end of `fit`, takes a model that is not finite back to its latest healthy state."""
        before = State(model)
        if before.is_finite() or not self._kept.is_finite():
            return []
        self._kept.put_back()
        text = (
            "The weights, statistics and optimizer are those of the latest healthy state: the last one was not finite."
        )
        action = _action(step, epoch, "non-finite", None, "restore", text)
        record["actions"].append(action)
        self._undo.append((action, before.put_back))
        return [f"treated: non-finite: {text}"]

    def undo(self, action: dict[str, Any]) -> bool:
        """Undoes an action; `False` if it cannot be undone any more."""
        for index, (known, act) in enumerate(self._undo):
            if known is action or known == action:
                act()
                known["undone"] = action["undone"] = True
                del self._undo[index]
                return True
        return False

    def end(self) -> None:
        """Leaves the train step and forgets the model's data."""
        self._saved = self._exactly() if self._rate else {}
        for part in (self._clip, self._rate):
            with contextlib.suppress(AttributeError):
                part.end()
        self._kept = self._batch = None

    def state(self) -> dict[str, Any]:
        """Plain data from which another process continues."""
        saved = dict(self._saved)
        if self._kept is not None:
            saved = self._exactly()
        return {"base": self.base, "step": self.step, "epochs": self.epochs, "returns": self._returns, **saved}

    def _exactly(self):
        """The limit and the rate without rounding: numbers of a record have few digits."""
        return {"limit": float(self._clip.limit).hex(), "factor": float(self._rate.level).hex()}

    def _situation(self, model, record, finding):
        window, size = self.window(record), record["fit"].get("batch_size")
        lowest = self._lowest
        if lowest is None:
            lowest = finite((record.get("start") or {}).get("loss"))
        return Situation(
            model=model,
            record=window,
            finding=finding,
            rate=self._rate,
            clip=self._clip,
            trials=Trials(model, self._batch, size),
            x=self._batch[0],
            kept=self._kept,
            kept_loss=float("nan") if lowest is None else lowest,
            may_return=self._returns < _RETURNS,
        )

    def _log(self, record, finding, changes, step, epoch):
        said = []
        for change in changes:
            layer = change.layer or (finding.layer if change.kind in ("rescale", "revive") else None)
            text = f"{change.text} Reason: {finding.cause}"
            action = _action(step, epoch, finding.rule, layer, change.kind, text, change.before, change.after)
            record["actions"].append(action)
            self._undo.append((action, change.undo))
            self._returns += change.kind == "restore"
            said.append(f"treated: {finding.rule}: {change.text}")
        large = [entry for entry in self._undo if entry[0]["kind"] not in ("learning-rate", "clipping")]
        for entry in large[:-_UNDOABLE]:
            self._undo.remove(entry)
        self._refused.clear()
        self.step, self.epochs, self.is_new = step, epoch + 1, True
        return said

    def _refuse(self, record, key, why):
        self._refused.add(key)
        sentence = f"{key[0]}{f' [{key[1]}]' if key[1] else ''} is not treated: {why}."
        if sentence in record["untreated"]:
            return []
        record["untreated"].append(sentence)
        return [sentence]


def _level(record):
    """The loss of a constant prediction with the penalties on weights, or the loss at the start."""
    start = record.get("start") or {}
    chance, penalty = finite((start.get("chance") or {}).get("loss")), finite(start.get("regularization"))
    return finite(start.get("loss")) if chance is None else chance + (penalty or 0.0)


def _is_serious(finding):
    # The rehearsal is not sure of a rate that is too low; the trials are.
    is_sure = finding.severity != "low" and finding.confidence >= CONFIDENCE or finding.rule == "cannot-fit-one-batch"
    return finding.is_open and is_sure and finding.rule in TREATMENTS


def _action(step, epoch, rule, layer, kind, text, before=None, after=None):
    return {
        "step": step,
        "epoch": epoch,
        "rule": rule,
        "layer": layer,
        "kind": kind,
        "text": text,
        "before": before,
        "after": after,
        "undone": False,
    }
