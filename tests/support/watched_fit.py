"""A `fit` under the invariants: the checks before the first step, and snapshots of the first three steps."""

import keras
import numpy as np
from keras import ops

from keras_lecture.diagnosis._facts.invariants import Watch, static
from keras_lecture.diagnosis._facts.variables import named_variables


class Watching(keras.callbacks.Callback):
    """Feeds a `Watch` as the doctor does, without gradients."""

    def __init__(self, facts, steps=3):
        super().__init__()
        self.facts, self.steps = facts, steps
        self.watch = None

    def snapshot(self):
        variables = named_variables(self.model)
        return {key: np.array(ops.convert_to_numpy(ops.stop_gradient(v.value))) for key, v in variables.items()}

    def on_train_begin(self, logs=None):
        self.watch, self.taken = Watch(self.model, self.facts), 0

    def on_train_batch_begin(self, batch, logs=None):
        if self.taken < self.steps:
            self.watch.before(self.snapshot())

    def on_train_batch_end(self, batch, logs=None):
        if self.taken < self.steps:
            self.watch.after(self.snapshot())
            self.taken += 1

    def on_test_begin(self, logs=None):
        self.start = self.snapshot()

    def on_test_end(self, logs=None):
        self.watch.evaluation(self.start, self.snapshot())

    def on_epoch_end(self, epoch, logs=None):
        self.watch.trainable()


def watched_fit(model, x, y=None, sample_weight=None, *, rows=8, no_gradient=(), **options):
    """The facts of a `fit` of two epochs with validation on the same data."""
    batch = keras.tree.map_structure(lambda a: None if a is None else a[:rows], (x, y, sample_weight))
    facts = static(model, batch)
    watching = Watching(facts)
    options = {"batch_size": 4, "epochs": 2, "verbose": 0, "callbacks": [], **options}
    options.setdefault("validation_data", (x, y))
    model.fit(x, y, sample_weight=sample_weight, **{**options, "callbacks": [watching, *options["callbacks"]]})
    return facts | watching.watch.result(no_gradient)


def broken(facts, *, minor=False):
    """The names of the violated invariants; minor ones, of low severity, on request."""
    return sorted(
        name for name, fact in facts.items() if fact["holds"] is False and (minor or fact.get("severity") != "low")
    )
