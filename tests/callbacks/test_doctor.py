"""`Doctor` in `fit`: it sees, names and records; it changes nothing, and never makes a `fit` fail.

What each rule finds is tested with the rules; how well all of them judge is measured by the ward.
"""

import json
import warnings

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from support.harness import BACKEND

from keras_lecture import data, layers, optimizers
from keras_lecture._training.pipeline import pipeline_of
from keras_lecture.callbacks import (
    Doctor,
    EarlyStopping,
    ExactResume,
    GradientClipping,
    GradientMonitor,
    TerminateOnNonFinite,
)
from keras_lecture.callbacks._doctor import recording
from keras_lecture.callbacks._doctor.schedule import is_due, thinned
from keras_lecture.diagnosis import report
from keras_lecture.diagnosis._record.record import new_record, plain, read

DIGITS = load_digits()
X, Y = (DIGITS.images[:320, ..., None] / 16).astype("float32"), DIGITS.target[:320]
# Compiling by XLA takes longer than the tests; TensorFlow does not need it.
COMPILED = {"jit_compile": False} if BACKEND == "tensorflow" else {}


def classifier(seed=0, optimizer=None, **options):
    """A small net with everything that has a state: batch statistics, dropout, Adam."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.BatchNormalization(momentum=0.8),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **COMPILED, **options)
    return model


def fit(model, *callbacks, x=X[:256], y=Y[:256], epochs=2, **options):
    keras.utils.set_random_seed(1)
    options = {"validation_data": (X[256:], Y[256:]), "verbose": 0, **options}
    if y is not None:
        options |= {"y": y, "batch_size": 32}
    return model.fit(x, epochs=epochs, callbacks=[*callbacks], **options).history


class Rows(keras.utils.PyDataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return X[index * 32 : index * 32 + 32], Y[index * 32 : index * 32 + 32]


def batches_of(kind):
    """The training data of a `fit` in some form, as its arguments."""
    if kind == "arrays":
        return {}
    if kind == "PyDataset":
        return {"x": Rows(), "y": None}
    if kind == "balanced batches":
        return {"x": data.BalancedBatches(X[:256], Y[:256], batch_size=32, seed=0), "y": None}
    if kind == "generator":
        rows = Rows()
        return {"x": (rows[index % 8] for index in range(100)), "y": None, "steps_per_epoch": 8, "shuffle": False}
    if BACKEND == "torch":
        import torch

        rows = torch.utils.data.TensorDataset(torch.tensor(X[:256]), torch.tensor(Y[:256]))
        return {"x": torch.utils.data.DataLoader(rows, batch_size=32, shuffle=True), "y": None, "shuffle": False}
    import tensorflow as tf

    return {"x": tf.data.Dataset.from_tensor_slices((X[:256], Y[:256])).batch(32), "y": None, "shuffle": False}


@pytest.mark.parametrize("kind", ["arrays", "PyDataset", "balanced batches", "generator", "the framework's own"])
def test_the_run_is_the_same_with_and_without_it(kind):
    """Weights, statistics and history are equal bit by bit, whatever the form of the data."""
    plain_model, watched = classifier(), classifier()
    before = fit(plain_model, **batches_of(kind))
    doctor = Doctor(verbose=0)
    after = fit(watched, doctor, **batches_of(kind))
    assert before == after
    for old, new in zip(plain_model.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert doctor.record["unseen"] == []
    length = doctor.record["epochs"][0]["step"]
    assert [probe["step"] for probe in doctor.record["probes"]] == [0, length, 2 * length]
    assert [step["step"] for step in doctor.record["steps"]] == [1, 2, 3, length + 1, length + 2]
    assert not [finding for finding in doctor.findings if finding.severity != "low"]


def test_two_fits_and_a_new_compile():
    """Each `fit` has a record of its own; the instruments follow a new loss."""
    model, doctor = classifier(), Doctor(verbose=0)
    fit(model, doctor)
    first = doctor.record
    model.compile("sgd", "sparse_categorical_crossentropy", **COMPILED)
    fit(model, doctor, epochs=1)
    assert first is not doctor.record
    assert doctor.record["model"]["optimizer"]["class"] == "SGD" and len(doctor.record["epochs"]) == 1


def test_beside_every_other_callback_in_any_order():
    """The same weights as with the others alone."""

    def others():
        return [GradientMonitor(), GradientClipping(1.0), TerminateOnNonFinite(), EarlyStopping(patience=5)]

    alone, watched = classifier(), classifier()
    fit(alone, *others())
    first, second, *rest = others()
    doctor = Doctor(verbose=0)
    history = fit(watched, first, doctor, second, *rest)
    assert "gradient_norm" in history and doctor.record["unseen"] == []
    for old, new in zip(alone.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_sick_run_is_named_while_it_trains(capsys):
    """A probability that no sigmoid bounds: found before the first step, with a cure that can be copied."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    model.compile("adam", "binary_crossentropy", **COMPILED)
    x = np.random.default_rng(0).normal(size=(128, 2))
    doctor = Doctor()
    model.fit(x, x[:, 0] > 0, epochs=2, verbose=0, callbacks=[doctor])
    worst = doctor.findings[0]
    assert (worst.rule, worst.severity, worst.first_step, worst.is_open) == ("output-loss-mismatch", "high", 0, True)
    assert "sigmoid" in worst.code and worst.evidence and worst.lecture
    printed = capsys.readouterr().out
    assert printed.count("output-loss-mismatch") == 1 and printed.startswith("Doctor: high:")


def test_strict_raises_at_a_finding_of_high_severity():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "binary_crossentropy", **COMPILED)
    x = np.random.default_rng(0).normal(size=(64, 2))
    with pytest.raises(RuntimeError, match="Doctor: high: output-loss-mismatch"):
        model.fit(x, x[:, 0] > 0, verbose=0, callbacks=[Doctor(strict=True, verbose=0)])
    # What the failed `fit` has left behind does not touch the next one.
    model.fit(x, x[:, 0] > 0, verbose=0)


def test_a_nan_in_the_data_is_named():
    x = X[:256].copy()
    x[7, 2, 2] = np.nan
    doctor = Doctor(verbose=0)
    fit(classifier(), doctor, x=x)
    assert any(f.severity == "high" and "finite" in f.rule for f in doctor.findings)


class Custom(keras.Model):
    """The train step of Keras's guides, one per backend in the guides, here in the backend-free form: Keras's own."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, inputs):
        return self.dense(inputs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean(keras.ops.abs(y - y_pred))


def test_a_model_with_a_loss_of_its_own():
    """Chance has no meaning for such a loss and is left out; the rest is measured."""
    model = Custom()
    model.compile("adam", **COMPILED)
    doctor = Doctor(verbose=0)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(64, 3)), rng.normal(size=(64, 1)), epochs=2, verbose=0, callbacks=[doctor])
    assert doctor.record["start"]["chance"] is None and doctor.record["start"]["loss"] > 0
    assert doctor.record["probes"][-1]["layers"][0]["gradient"] > 0


class Breaks(keras.layers.Layer):
    """Works in `fit` only: it refuses the doctor's batch size."""

    def call(self, inputs):
        if inputs.shape[0] not in (None, 24):
            raise RuntimeError("24 samples or none")
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def test_what_cannot_be_looked_at_is_said_once_and_the_fit_goes_on(capsys):
    model = keras.Sequential([keras.Input((3,)), Breaks(), keras.layers.Dense(1)])
    model.compile("adam", "mse", **COMPILED)
    x = np.random.default_rng(0).normal(size=(96, 3))
    doctor = Doctor(x[:30], x[:30, :1])
    history = model.fit(x, x[:, :1], batch_size=24, epochs=3, verbose=0, callbacks=[doctor]).history
    assert len(history["loss"]) == 3
    assert doctor.record["unseen"] and any("24 samples or none" in sentence for sentence in doctor.record["unseen"])
    # Without the layers no rule on the structure can judge: that is said, too.
    assert any(sentence.startswith("the layers of the model: ") for sentence in doctor.record["unseen"])
    out = capsys.readouterr().out
    assert out.count("signals and gradients") <= 1


def test_steps_instead_of_epochs():
    doctor = Doctor(every=3, verbose=0)
    fit(classifier(), doctor, epochs=1)
    assert [probe["step"] for probe in doctor.record["probes"]] == [0, 3, 6, 8]


def test_several_steps_in_one_execution():
    """Keras 3.15 takes one step per execution on PyTorch."""
    doctor = Doctor(verbose=0)
    fit(classifier(steps_per_execution=1 if BACKEND == "torch" else 4), doctor)
    assert doctor.record["unseen"] == [] and doctor.record["epochs"][-1]["step"] == 16


def test_a_model_without_a_sample_of_its_own_uses_the_given_one():
    doctor = Doctor(X[:40], Y[:40], verbose=0)
    fit(classifier(), doctor, **batches_of("generator"))
    assert doctor.record["data"]["rows"] == 40


def test_resumed_runs_continue_their_record(tmp_path):
    """Oracle: the record of the same run without interruption; tolerance 1e-4, saved records have 5 digits."""

    def stopped(epochs):
        model, doctor = classifier(), Doctor(verbose=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit(model, doctor, ExactResume(tmp_path / "run"), epochs=epochs)
        return doctor

    stopped(2)
    resumed = stopped(4)
    whole = Doctor(verbose=0)
    fit(classifier(), whole, epochs=4)
    assert [e["epoch"] for e in resumed.record["epochs"]] == [0, 1, 2, 3]
    np.testing.assert_allclose(resumed.record["losses"]["values"], whole.record["losses"]["values"], rtol=1e-4)
    assert resumed.record["losses"]["steps"] == whole.record["losses"]["steps"]
    holds = [{name: fact["holds"] for name, fact in d.record["invariants"].items()} for d in (resumed, whole)]
    assert holds[0] == holds[1] and True in holds[1].values()
    # A finished run that is started again takes no step, and finds out nothing new.
    assert stopped(4).document() == resumed.document()


def test_an_interrupted_epoch_counts_its_steps():
    """Interrupted in the first epoch, the document had 0 steps and the verdict said "before the first step"."""

    def interrupt(batch, logs):
        if batch == 3:
            raise KeyboardInterrupt

    doctor = Doctor(verbose=0)
    with pytest.raises(KeyboardInterrupt):
        fit(classifier(), doctor, keras.callbacks.LambdaCallback(on_train_batch_end=interrupt))
    assert doctor.document()["fit"]["steps"] == 4
    assert report(doctor)["steps"] == 4


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_low_findings_are_printed_on_request(verbose, capsys):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "binary_crossentropy")
    x = np.random.default_rng(0).normal(size=(64, 2))
    doctor = Doctor(verbose=verbose)
    model.fit(x, x[:, 0] > 0, epochs=2, verbose=0, callbacks=[doctor])
    severities = [finding.severity for finding in doctor.findings]
    assert "high" in severities and "low" in severities
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert ("Doctor: high:" in text, "Doctor: low:" in text) == (verbose > 0, verbose > 1)


def test_a_run_that_learned_nothing_without_a_serious_finding_does_not_end_in_silence(capsys):
    """Shuffled labels may have low findings only, so that nothing was printed about a model at chance."""
    labels = np.random.default_rng(5).permutation(Y)
    model = classifier(optimizer=keras.optimizers.SGD(0.01))
    fit(model, Doctor(rules=["non-finite"]), y=labels[:256], validation_data=(X[256:], labels[256:]), epochs=6)
    printed = capsys.readouterr().out
    assert (
        "Doctor: No serious fault was found in 48 steps (6 epochs), but the training loss is no better than" in printed
    )
    fit(classifier(), Doctor(), epochs=6)
    assert "No serious fault" not in capsys.readouterr().out


def test_a_first_batch_of_one_class_is_no_measure_of_chance():
    """Rows sorted by class in a generator: the loss was "2e+06 times that of the best constant prediction"."""
    model, order = classifier(), np.argsort(Y[:256], kind="stable")

    def batches():
        while True:
            for start in range(0, 256, 16):
                yield X[order[start : start + 16]], Y[order[start : start + 16]]

    doctor = Doctor(verbose=0)
    fit(model, doctor, x=batches(), y=None, steps_per_epoch=16, epochs=2, shuffle=False)
    assert doctor.record["start"]["chance"] is None
    assert "bad-start" not in {finding.rule for finding in doctor.findings}


def test_the_rest_of_an_interrupted_epoch_is_no_lack_of_samples(tmp_path):
    """Continued in the middle of an epoch, `fit` sees its last batches only: `samples_seen` was reported violated."""

    def interrupt(batch, logs):
        if batch == 3:
            raise KeyboardInterrupt

    doctor, every = Doctor(verbose=0), 2
    killer = keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(classifier(), doctor, ExactResume(tmp_path / "run", every=every), killer, epochs=2)
    doctor = Doctor(verbose=0)
    fit(classifier(), doctor, ExactResume(tmp_path / "run", every=every), epochs=1)
    assert doctor.record["invariants"]["samples_seen"]["holds"] is None
    fit(classifier(), doctor, epochs=1)
    assert doctor.record["invariants"]["samples_seen"]["holds"] is True


def test_saved_records_are_json_of_a_version(tmp_path):
    doctor = Doctor(verbose=0)
    fit(classifier(), doctor)
    doctor.save(tmp_path / "run.json")
    record = read(tmp_path / "run.json")
    assert record["schema"] == 1 and record["findings"] == [finding.to_dict() for finding in doctor.findings]
    (tmp_path / "other.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(ValueError, match="no record of schema 1"):
        read(tmp_path / "other.json")


def test_a_long_run_of_a_deep_net_stays_small():
    """Under 1 MB for 1,000 epochs of a net with 50 layers: the numbers of a real probe, repeated."""
    doctor = Doctor(verbose=0)
    model = classifier()
    fit(model, doctor)
    probe, step = doctor.record["probes"][-1], doctor.record["steps"][-1]
    dense = next(row for row in probe["layers"] if row["class"] == "Dense")
    layers = [{**dense, "layer": f"block_{index}_dense"} for index in range(50)]
    paths = [f"model/block_{index}/{name}" for index in range(50) for name in ("kernel", "bias")]
    moves = {path: {"update": 0.00123456, "moved": True} for path in paths}

    class Instruments:
        unseen = ()

        def probe(self, step, epoch):
            return {**probe, "step": step, "epoch": epoch, "layers": layers}

    record = {**new_record(), "model": {"layers": doctor.record["model"]["layers"][-1:] * 50}}
    for epoch in range(1000):
        recording.add_epoch(record, epoch, epoch * 64, {"loss": 1 / 3, "accuracy": 2 / 3, "val_loss": 1 / 7})
        recording.add_losses(record, [(epoch * 64 + index, 1 / 3) for index in range(64)])
        if is_due(epoch + 1):
            recording.add_probe(record, Instruments(), None, epoch * 64, epoch)
            record["steps"] = thinned([*record["steps"], {**step, "weights": moves}] * 2, recording._STEPS)
    assert len(json.dumps(plain(record))) < 1_000_000


def test_the_looks_become_rarer():
    assert [epoch for epoch in range(1, 65) if is_due(epoch)] == [1, 2, 4, 8, 16, 32, 64]


def test_an_evaluation_without_a_fit_is_none_of_its_business():
    """`evaluate(…, callbacks=[Doctor()])` ended in an AttributeError."""
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    model.compile("sgd", "mse")
    doctor = Doctor(verbose=0)
    model.evaluate(np.zeros((4, 64)), np.zeros((4, 10)), verbose=0, callbacks=[doctor])
    assert doctor.findings == []


@pytest.mark.parametrize("every", ["epoch", 4])
def test_treat_resumes_in_the_middle_of_an_epoch(every, tmp_path):
    """A limit that was never set was saved with five digits, and came back as one: "written by another model"."""

    class Kill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 6:
                raise RuntimeError("killed")

    def run(*more):
        keras.utils.set_random_seed(0)
        model = classifier()
        fit(model, Doctor(treat=True, verbose=0), *more, y=Y[:256], epochs=3, batch_size=32)
        return model.get_weights()

    whole = run()
    with pytest.raises(RuntimeError, match="killed"):
        run(ExactResume(tmp_path, every=every), Kill())
    for ours, theirs in zip(run(ExactResume(tmp_path, every=every)), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_treat_with_a_generator_trains_as_without():
    """On JAX the trial inside of the first step took the memory of the step's own arrays."""

    def run(*callbacks):
        keras.utils.set_random_seed(0)
        model = classifier()
        batches = ((X[i : i + 32], Y[i : i + 32]) for _ in range(2) for i in range(0, 160, 32))
        model.fit(batches, steps_per_epoch=5, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks))
        return model.get_weights()

    for ours, theirs in zip(run(Doctor(treat=True, verbose=0)), run(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_loop_of_ones_own_is_refused_with_a_sentence():
    """In a loop around `train_on_batch` the doctor ended in "'NoneType' object is not callable"."""
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    model.compile("sgd", "mse")
    callbacks = keras.callbacks.CallbackList([Doctor(verbose=0)], model=model)
    with pytest.raises(ValueError, match=r"inside of `model\.fit`.*diagnosis\.audit"):
        callbacks.on_train_begin()
    assert np.isfinite(model.train_on_batch(np.zeros((4, 64)), np.zeros((4, 10))))


def test_a_wrapper_may_come_before_the_train_function():
    model, calls = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)]), []
    model.compile("sgd", "mse")
    run = pipeline_of(model).open(None)

    def around(plain, *args):
        calls.append(plain)
        return plain(*args)

    run.surround(around)
    model.train_on_batch(np.zeros((4, 64)), np.zeros((4, 10)))
    run.release(around)
    model.train_on_batch(np.zeros((4, 64)), np.zeros((4, 10)))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "every"),
        ({"every": "step"}, "every"),
        ({"rules": "all"}, "rules"),
        ({"rules": ["dead-reluu"]}, "Did you mean 'dead-relu'"),
        ({"verbose": 3}, "verbose"),
        ({"strict": 1}, "strict"),
        ({"treat": 1}, "treat"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Doctor(**arguments)


def test_the_train_function_of_a_search_stays_in_place():
    """The doctor's wrapper was removed together with the pipeline's own, which an optimizer that is bound needs."""
    model = classifier()
    model.compile(optimizers.Armijo().bind(model), "sparse_categorical_crossentropy", **COMPILED)
    fit(model, epochs=1)
    before = type(model.train_function)
    fit(model, Doctor(verbose=0), epochs=1)
    assert type(model.train_function) is before


def test_a_gradient_that_is_only_rounding_moves_no_weight():
    """The suite under the doctor: Σy does not depend on γ, whose gradient was 7e-7 beside 216: "did not move"."""
    model = keras.Sequential([keras.Input((6, 6, 4)), layers.InstanceNormalization()])
    model.compile(keras.optimizers.SGD(0.01), lambda y_true, y_pred: keras.ops.sum(y_pred))
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 4)).astype("float32")
    doctor = Doctor(verbose=0)
    model.fit(x, x, batch_size=4, verbose=0, callbacks=[doctor])
    fact = doctor.record["invariants"]["weights_move"]
    assert fact["holds"] is True, fact
