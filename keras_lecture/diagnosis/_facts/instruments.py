"""The instruments that measure one model again and again: compiled once, used before and during training."""

from typing import Any

import keras

from keras_lecture._core.random_state import same_random_state
from keras_lecture.diagnosis._facts.data import data_facts
from keras_lecture.diagnosis._facts.evaluation import Evaluation
from keras_lecture.diagnosis._facts.model import model_facts
from keras_lecture.diagnosis._facts.passes import Pass
from keras_lecture.diagnosis._facts.reasons import reason
from keras_lecture.diagnosis._facts.rehearsal import rehearse
from keras_lecture.diagnosis._facts.start import start_facts
from keras_lecture.diagnosis._record.record import Record

Batch = tuple[Any, Any, Any]


class Instruments:
    """Measures a built and compiled model on given samples; what fails is named in `unseen`, once.

    Args:
        model: The model.
        signals, train, validation: Batches of tensors: for signals and gradients, for the losses of training data, and
            for those of validation data or `None`.
    """

    def __init__(self, model: keras.Model, signals: Batch, train: Batch, validation: Batch | None) -> None:
        self.model = model
        self.unseen: list[str] = []
        self._signals, self._train, self._validation = signals, train, validation
        self._pass: Pass | None = None
        self._evaluation = Evaluation(model)

    def open(self, record: Record, data: Batch, validation_data: Any, **options: Any) -> None:
        """Writes everything that is known before the first step into the record."""
        with same_random_state():
            self._attempt("the model", lambda: record["model"].update(model_facts(self.model, self._signals)))
            start = start_facts(self.model, self._train, self._evaluation)
        outputs = start.pop("outputs")
        self.unseen += [*record["model"].pop("unseen", ()), *start.pop("unseen")]
        record["start"] = start
        for known, measured in zip(record["model"].get("outputs", ()), outputs, strict=False):
            known.update(measured)
        losses = record["model"].get("losses", ())
        units = [output["shape"][-1] for output in record["model"].get("outputs", ()) if output["shape"]]
        families = [loss["family"] for loss in losses]

        def read():
            facts = data_facts(*data, validation_data, family=families, units=units, **options)
            self.unseen.extend(facts.pop("unseen", ()))
            record["data"] = facts

        self._attempt("the data", read)
        record["probes"].append(self.probe(0, -1))
        record["unseen"] = list(dict.fromkeys([*record["unseen"], *self.unseen]))

    def rehearse(self, record: Record) -> None:
        """Writes whether a few dozen steps on the samples for signals lower their loss; takes some seconds."""
        facts = self._attempt("one batch again and again", lambda: rehearse(self.model, self._signals))
        record["start"]["rehearsal"] = facts
        record["unseen"] = list(dict.fromkeys([*record["unseen"], *self.unseen]))

    def probe(self, step: int, epoch: int) -> dict[str, Any]:
        """The state of the model now: losses in inference mode, signals and gradients in training mode."""
        with same_random_state():
            measured = self._attempt("signals and gradients", self._signals_now)
            train = self._attempt("the loss on training data", lambda: self._losses(self._train))
            validation = None
            if self._validation is not None:
                validation = self._attempt("the loss on validation data", lambda: self._losses(self._validation))
        loss = None if measured is None else measured.loss
        return {
            "step": step,
            "epoch": epoch,
            "train": train,
            "validation": validation,
            "training_mode": {"loss": loss},
            "layers": [] if measured is None else measured.rows,
            "no_gradient": [] if measured is None else measured.no_gradient,
        }

    def _signals_now(self):
        if self._pass is None:
            self._pass = Pass(self.model, self._signals)
        return self._pass(self._signals)

    def _losses(self, batch):
        found = self._evaluation(batch)
        del found["predictions"]
        return found

    def _attempt(self, subject, measure):
        try:
            return measure()
        except Exception as error:
            sentence = reason(subject, error)
            if sentence not in self.unseen:
                self.unseen.append(sentence)
            return None
