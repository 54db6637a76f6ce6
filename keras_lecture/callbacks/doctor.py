"""`Doctor`: names what is wrong with a training run while it trains, and the cure."""

import dataclasses
import os
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lecture import _backend
from keras_lecture._core import checks
from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.running_fit import callback_list, calls_directly, fit_variables
from keras_lecture.callbacks._doctor import recording, source, steps
from keras_lecture.callbacks._doctor.invariants import Invariants
from keras_lecture.callbacks._doctor.order import Order
from keras_lecture.callbacks._doctor.schedule import is_due
from keras_lecture.callbacks._doctor.treating import Treating
from keras_lecture.callbacks._watch.monitoring import say
from keras_lecture.callbacks.exact_resume import ExactResume
from keras_lecture.diagnosis._facts.batches import as_tensors
from keras_lecture.diagnosis._facts.instruments import Instruments
from keras_lecture.diagnosis._facts.reasons import reason
from keras_lecture.diagnosis._record.record import Record, new_record, plain, write
from keras_lecture.diagnosis._report.html import fragment
from keras_lecture.diagnosis._report.summary import unexplained
from keras_lecture.diagnosis._rules import checked, judge, merged
from keras_lecture.diagnosis._rules.rule import Finding, Unknown
from keras_lecture.diagnosis.report import report

_FIRST_STEPS = 3


class Doctor(keras.callbacks.Callback):
    """Names what is wrong with a training run, with the evidence and the cure, and is silent if nothing is.

    Use it in any `fit`. It takes a small sample from the data of the running `fit`, audits model and data before the
    first step, checks in the first steps that the run does what was written, and looks at signals, gradients and losses
    after the epochs 1, 2, 4, 8, 16, … . New findings that matter are printed, one line each. Costs a few passes over
    the sample at each look, and nothing between them; the first look compiles.

        record = numbers measured in the run       findings = ⋃ rule(record)

    A rule that cannot tell is silent; `unknown` lists these answers with what would decide them. The weights after
    `fit` are those of the same `fit` without the callback, unless it treats. It never ends a `fit`, unless `strict`.

    Args:
        x, y: Samples to look at in place of some of the data of `fit`; NumPy arrays or structures of them.
        every: When to look: `"epoch"`, ever more rarely as above, or a number k of steps. Defaults to `"epoch"`.
        rules: `"default"`, all rules, or a list of their names. Defaults to `"default"`.
        verbose: Which new findings to print: 0 for none, 1 for those of medium and high severity, 2 for all. Defaults
            to `1`.
        strict: Whether to raise `RuntimeError` at a finding of high severity, for tests. Defaults to `False`.
        treat: Whether to act on findings of medium or high severity with a confidence of at least 0.8 where no new
            model is needed: set the learning rate, clip gradients, go back to the latest healthy state, revive dead
            units, rescale or redraw kernels. It then tries 40 steps on one batch before the first step, looks after
            each of the first 16 epochs, and keeps a copy of the state on the host, and of the latest three states that
            an action replaced. Defaults to `False`.

    Attributes:
        findings: The findings of the latest `fit`, the most severe first; one that healed has `is_open=False`. Each has
            `rule`, `severity` (`"high"`: the run will not work; `"medium"`: it works worse than it could; `"low"`:
            worth knowing), `confidence`, `layer`, `first_step`, `last_step`, `evidence`, `cause`, `cure`, `code`,
            `lecture`.
        unknown: The answers of rules that could not tell.
        actions: The treatments, as plain data: `step`, `epoch`, `rule`, `layer`, `kind`, `text`, `before`, `after`,
            `undone`; `undo(action)` takes one back. `record["untreated"]` says what was refused, and why.
        record: Everything measured, as plain data that `json` can write; `save(path)` writes it with the findings,
            and `report(path)` a page.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("adam", "binary_crossentropy")
        >>> doctor = keras_lecture.callbacks.Doctor(verbose=0)
        >>> x = np.random.default_rng(0).normal(size=(64, 2))
        >>> _ = model.fit(x, x[:, 0] > 0, epochs=2, verbose=0, callbacks=[doctor])
        >>> [finding.rule for finding in doctor.findings if finding.severity == "high"]
        ['output-loss-mismatch']

    Reference:
        Deck A (the tuning table; "the learning goes on only if the gradient is non-zero"). With data that cannot be
        indexed (a generator, `tf.data`, a `DataLoader`) the sample is the first batch. Of a `PyDataset` it reads some
        batches more: one that draws random numbers from a generator of its own then draws others. Class weights of
        `fit` do not enter its losses. A custom `train_step` is looked at through `model.compute_loss`.
    """

    def __init__(
        self,
        x: Any = None,
        y: Any = None,
        *,
        every: str | int = "epoch",
        rules: str | Sequence[str] = "default",
        verbose: int = 1,
        strict: bool = False,
        treat: bool = False,
    ) -> None:
        if every != "epoch":
            checks.whole("Doctor", "every", every, "[1, ∞)", 'Or "epoch".')
        checked("Doctor", rules)
        checks.one_of("Doctor", "verbose", verbose, (0, 1, 2))
        checks.boolean("Doctor", "strict", strict)
        checks.boolean("Doctor", "treat", treat)
        super().__init__()
        # Keras may then call `on_train_batch_end`, which does nothing, without waiting for the step.
        self.async_safe = every == "epoch"
        self.every, self.rules, self.verbose, self.strict, self.treat = every, rules, verbose, strict, treat
        self._treating: Treating | None = None
        self._invariants: Any = None
        self._given = x, y
        self._restored: dict[str, Any] | None = None
        self.findings: list[Finding] = []
        self.unknown: list[Unknown] = []
        self.record: Record = new_record()

    # The hooks of Keras.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        fit, callbacks = fit_variables(), callback_list()
        if not fit:
            raise ValueError(
                "Doctor: it acts inside of `model.fit`, and sees nothing of another training loop. Call `fit`, or "
                "judge the model and its data without training: `diagnosis.audit(model, x, y)`."
            )
        self._run = self._instruments = self._invariants = None
        self._step = self._in_epoch = 0
        self._epoch, self._looked = 0, -1
        self._losses, self._before = steps.Losses(), []
        self.findings, self.unknown, self.record = [], [], new_record()
        self._treating = None
        self._resume()
        if self.treat and self._treating is None:
            self._treating = Treating(None)
        # What an interrupted run has found out stays, unless this process finds it out again.
        self._known = self.record["invariants"]
        self._is_bounded = fit.get("steps_per_epoch") is not None
        self._callbacks = None if callbacks is None else weakref.ref(callbacks)
        # It may continue an interrupted epoch, whose first batches another process has seen.
        self._is_partial = any(isinstance(each, ExactResume) for each in getattr(callbacks, "callbacks", ()))
        self._waits = self._monitored = False
        self._order = Order(source.kind(fit.get("x")), fit.get("x"))
        self._attempt("the start of `fit`", lambda: self._begin(fit))
        self._run = pipeline_of(self._model).open(callbacks)
        self._run.surround(self._around)
        if self.treat:
            self._attempt("the state", lambda: self._treating.begin(self._model, self._run, self.record))
            if not self._step:
                self._attempt("the state", lambda: self._treating.start(self._model))
                self._treat(-1)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch, self._in_epoch = epoch, 0
        if self.treat:
            self._attempt("the state", lambda: self._treating.start(self._model))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._attempt("the epoch", lambda: self._write_epoch(epoch, logs or {}))
        is_last = epoch + 1 >= (self.params or {}).get("epochs", 0) or self._model.stop_training
        if self.treat:
            loss = (logs or {}).get("loss")
            self._attempt("the state", lambda: self._treating.keep(self.model, self.record, loss))
        if is_last or (self.every == "epoch" and self._is_due(epoch + 1)):
            self._look(epoch)
        elif not np.isfinite(recording.last_loss(self.record)):
            self._judge()
        elif self.every != "epoch":
            # Nothing was judged since the last look, so that a finding would be old.
            return
        self._treat(epoch, is_last)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.every != "epoch" and self._step - self._looked >= self.every:
            self._look(self._epoch)
            self._treat(self._epoch - 1)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._invariants is not None:
            self._attempt("the validation", lambda: self._invariants.evaluation_begins(self.model))

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._invariants is not None:
            self._attempt("the validation", lambda: self._invariants.evaluation_ends(self.model))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._looked != self._step:
            self._look(self._epoch)
        sentence = self._attempt("the whole run", lambda: unexplained(self.document())) if self.verbose else None
        if sentence:
            say(f"Doctor: {sentence}")
        if self.treat:
            self._treating.end()
        if self._run is not None:
            self._run.release(self._around)
        # What holds the model or the data.
        self._run = self._instruments = self._invariants = None
        self._before, self._losses = [], steps.Losses()

    # What it does.

    @property
    def actions(self) -> list[dict[str, Any]]:
        """The treatments of the latest `fit`."""
        return self.record.get("actions", [])

    def undo(self, action: dict[str, Any]) -> None:
        """Undoes one of the `actions`: the rate, the limit, or the values of weights, statistics and optimizer."""
        # On JAX, reading `self.model` makes Keras take the assigned values into the next step.
        if self._treating is None or not (self.model and self._treating.undo(action)):
            remedy = "Copies of the values are kept for the latest three actions that changed weights, in one process."
            checks.reject("Doctor", "action", "one of `doctor.actions` that can still be undone", action, remedy)

    def document(self) -> dict[str, Any]:
        """The record with findings, unknowns and actions, as plain data: what `save` writes."""
        parts = {"findings": self.findings, "unknown": self.unknown}
        judged = {name: [dataclasses.asdict(answer) for answer in answers] for name, answers in parts.items()}
        rules = self.rules if isinstance(self.rules, str) else list(self.rules)
        fit = {**self.record["fit"], "steps": getattr(self, "_step", 0)}
        return plain({**self.record, **judged, "fit": fit, "actions": self.actions, "rules": rules})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `document()` as JSON."""
        write(self.document(), path)

    def report(self, path: str | os.PathLike[str], *, compare: Any = None) -> dict[str, Any]:
        """Writes the HTML page of `diagnosis.report` and returns its summary."""
        return report(self, path, compare=compare)

    def _repr_html_(self) -> str:
        """The verdict and the open findings, for notebooks."""
        return fragment(self.document())

    def _begin(self, fit):
        model = self._model
        if not model.built or not model.optimizer.built:
            _backend.build(model, fit["epoch_iterator"])
        recording.open_fit(self.record, model, fit, source.kind(fit.get("x")))
        samples = source.from_fit(fit, self._given)
        if samples is None:
            self._waits, self._validation = True, fit.get("validation_data")
            return
        self._open(samples)

    def _open(self, samples):
        """Measures everything that is known before the first step."""
        model = self._model
        batches = [
            None if batch is None else as_tensors("Doctor", model, batch)
            for batch in (samples.signals, samples.train, samples.validation)
        ]
        self._instruments = Instruments(model, *batches)
        if self.treat:
            self._treating.open(batches[1])
        fit = self.record["fit"]
        options = {"batch_size": fit["batch_size"], "shuffle": fit["shuffle"], "whole": samples.whole}
        opened = self.record if not self.record["probes"] else new_record()
        self._instruments.open(opened, samples.data, samples.validation_data, **options)
        if self.treat and not self._step:
            self._instruments.rehearse(opened)
        probe = opened["probes"][0]
        self._invariants = self._attempt(
            "the invariants", lambda: Invariants(model, batches[0], probe, self.record["fit"].get("source", ""))
        )
        # Not 0 in a resumed run: one that is finished already is not measured again.
        self._looked = self._step
        self._judge()

    def _around(self, plain, *args):
        """Wraps the train function, which gets an iterator of batches or, on PyTorch, a list; on JAX the state, too."""
        if self._callbacks is not None and not calls_directly(self._callbacks()):
            return plain(*args)
        *state, data = args
        state = state[0] if state else None
        looks = self._order.looks and not self._in_epoch and not self._is_partial
        if self._waits or looks:
            batches, data = _backend.execution(data, self._model.steps_per_execution)
            if not batches:
                raise StopIteration
            if self._waits:
                self._waits = False
                self._attempt("the first batch", lambda: self._first_batch(state, batches[0]))
            if looks:
                self._attempt("the order of the batches", lambda: self._order.see(batches[0]))
            args = (*args[:-1], data)
        observed = self._is_observed()
        if observed:
            self._attempt("the weights before a step", lambda: self._snap(state))
        result = plain(*args)
        self._step += self._model.steps_per_execution
        self._in_epoch += self._model.steps_per_execution
        logs, after = (result[0], result[1]) if state is not None else (result, None)
        self._losses.note(self._in_epoch, logs)
        if observed:
            self._attempt("the weights after a step", lambda: self._compare(after))
        return result

    def _first_batch(self, state, batch):
        steps.exposed(self._model, state, as_copies=self.treat)
        self._open(source.from_batch(batch, self._validation))

    def _is_due(self, epoch):
        """Whether to look after this many epochs; also if a finding is treated only if it is found again."""
        return is_due(epoch, self.treat) or (self.treat and self._treating.waits)

    def _is_observed(self):
        """The first three steps of the run, and the first two of each epoch at whose end the doctor looks."""
        if self._instruments is None:
            return False
        return self._step < _FIRST_STEPS or (self._in_epoch < 2 and self._is_due(self._epoch + 1))

    def _snap(self, state):
        self._before = [*self._before[-1:], steps.snapshot(self._model, state, self._step < _FIRST_STEPS)]

    def _compare(self, state):
        recording.add_step(self.record, self._model, self._step, self._before, state, self._invariants)

    def _look(self, epoch):
        """Measures the model as it is now, and judges."""
        if self._instruments is not None and self._looked != self._step:
            self._attempt("the model", lambda: self._probe(epoch))
            self._looked = self._step
        self._judge()

    def _write_epoch(self, epoch, logs):
        offset = self._step - self._in_epoch
        losses = self._losses.finish(*(self.record["fit"].get(name) for name in ("batch_size", "samples")))
        recording.add_losses(self.record, [(offset + within, loss) for within, loss in losses])
        recording.add_epoch(self.record, epoch, self._step, logs)
        if self._invariants is not None:
            known = recording.samples_of_epoch(self.record, self._in_epoch)
            # `stop_training` may have ended the epoch early.
            is_short = self._is_bounded or self._is_partial or self._model.stop_training
            self._invariants.epoch(*(None, None) if is_short else known)
            if not self._monitored:
                self._monitored = True
                self._invariants.monitored(self._callbacks and self._callbacks(), self._model)
            if self._order.looks:
                self._invariants.order(*self._order.epoch(self._in_epoch))
            self._is_partial = False

    def _probe(self, epoch):
        # On JAX, reading `self.model` writes the state of the running epoch back to the variables.
        recording.add_probe(self.record, self._instruments, self.model, self._step, epoch)

    def _judge(self):
        if self._invariants is not None:
            result = self._attempt("the invariants", self._invariants.result) or {}
            known = {name: fact for name, fact in self._known.items() if result.get(name, {}).get("holds") is None}
            self.record["invariants"] = {**result, **known}
        answers = judge(self.record, self.rules) if not self.treat else self._treating.judged(self.record, self.rules)
        known = {(finding.rule, finding.layer, finding.severity) for finding in self.findings}
        self.findings = merged(self.findings, answers, self._step)
        self.unknown = [answer for answer in answers if isinstance(answer, Unknown)]
        new = [f for f in self.findings if f.is_open and (f.rule, f.layer, f.severity) not in known]
        for finding in new:
            if self.verbose > (finding.severity == "low"):
                say(f"Doctor: {finding}")
        if self.strict and any(finding.severity == "high" for finding in new):
            worst = next(finding for finding in new if finding.severity == "high")
            raise RuntimeError(f"Doctor: {worst}")

    def _treat(self, epoch, is_last=False):
        """Treats the findings; at the end of the last epoch, after which no step follows, only weights that are NaN."""
        if self.treat:
            # On JAX, reading `self.model` makes Keras take the assigned values into the next step.
            act = self._treating.rescue if is_last else self._treating.treat
            here = self.record, self.findings, self._step, epoch
            for sentence in self._attempt("a treatment", lambda: act(self.model, *here)) or ():
                if self.verbose:
                    say(f"Doctor: {sentence}")
        if self.treat and self._treating.is_new:
            probe = self._attempt("the model", lambda: self._instruments.probe(self._step, epoch))
            self._treating.measured(probe)
            self._judge()

    def _attempt(self, subject, act):
        """Calls `act()`; an error is written down and said once, because a `fit` must not fail by being looked at."""
        try:
            return act()
        except RuntimeError as error:
            if self.strict and str(error).startswith("Doctor: "):
                raise
            self._cannot_see(subject, error)
        except Exception as error:
            self._cannot_see(subject, error)
        return None

    def _cannot_see(self, subject, error):
        sentence = reason(subject, error)
        if sentence not in self.record["unseen"]:
            self.record["unseen"].append(sentence)
            if self.verbose:
                say(f"Doctor: could not look at {sentence}")

    # Resuming.

    def state(self) -> dict[str, np.ndarray]:
        """The record and the findings, for `restore` in another process."""
        saved = {"record": self.record, "findings": [f.to_dict() for f in self.findings]}
        saved["treating"] = None if self._treating is None else self._treating.state()
        return {"text": recording.packed(saved), "step": np.array(getattr(self, "_step", 0))}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continues the record of `state` in the next `fit`."""
        self._restored = dict(state)

    def _resume(self):
        if self._restored is not None:
            saved = recording.unpacked(self._restored["text"])
            self.record = saved["record"]
            self.findings = [Finding(**finding) for finding in saved["findings"]]
            self._step = int(self._restored["step"])
            self._treating = Treating(saved.get("treating")) if self.treat else None
            self._restored = None
