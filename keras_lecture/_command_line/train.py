"""Trains a model on a data set and writes a record, learning curves and a confusion matrix to a folder.

The environment variable KERAS_BACKEND selects the framework. The test part is evaluated once, after training.
"""

import math
import time

import numpy as np

from keras_lecture import callbacks, diagnosis, layers
from keras_lecture._command_line import options
from keras_lecture._command_line.endings import DIVERGED, OK, OWNER, Ended, usage_errors
from keras_lecture._command_line.experiment import Experiment, experiment
from keras_lecture._command_line.failures import training
from keras_lecture._command_line.files import folder_of, write
from keras_lecture._command_line.record import record_of, text_of
from keras_lecture._command_line.resuming import state_of
from keras_lecture._command_line.settings import settings
from keras_lecture._command_line.streams import out
from keras_lecture._command_line.terminal import ProgressBar, counted, show
from keras_lecture._core import checks

_EVALUATION_BATCH = 256
# Checking every step would make Keras wait for each step to finish.
_LOOK_EVERY = 16
# In the order in which they process a step.
_CALLBACKS = {
    "--clip": (callbacks.GradientClipping, "clip gradients: value=…, norm=… or global_norm=…"),
    "--reduce-learning-rate": (callbacks.ReduceLearningRate, "reduce it when a metric stops improving: patience=5"),
    "--early-stopping": (callbacks.EarlyStopping, "stop when a metric stops improving: patience=5"),
}


def add_arguments(parser):
    options.add_arguments(parser)
    group = options.add_training(parser)
    for option, (_, about) in _CALLBACKS.items():
        group.add_argument(option, nargs="*", metavar="key=value", help=about)
    group = options.add_output(parser, "DATASET-MODEL")
    about = "look for faults: write doctor.json, for `report`, and the page report.html; the exit code stays"
    group.add_argument("--doctor", action="store_true", help=about)
    group.add_argument("--save", action="store_true", help="save the model as model.keras")
    about = "save the training state in FOLDER/state and continue from it; remove that folder to start over"
    group.add_argument("--resume", action="store_true", help=about)


def run(arguments) -> int:
    with usage_errors():
        checks.whole(OWNER, "--epochs", arguments.epochs)
        work = experiment(arguments)
        folder = folder_of(arguments, f"{arguments.dataset}-{arguments.model[0]}")
        watching = _callbacks(arguments, folder)
    guards = [callback for callback in watching if isinstance(callback, callbacks.TerminateOnNonFinite)]
    history, seconds = _fit(work, arguments, watching)
    measured = {"history": history, "parameters": work.parameters, "seconds": seconds, **_results(work)}
    document, verdict = _judged(watching)
    record = record_of(arguments, **measured, **verdict)
    written = write(folder, record, _pictures(record), work.model if arguments.save else None, document)
    if arguments.json:
        out(text_of(record))
    else:
        show(record["results"], [*_summary(record), *written])
    if any(guard.finding for guard in guards):
        raise Ended(DIVERGED, guards[0].finding.message)
    if not math.isfinite(history["loss"][-1]):
        raise Ended(DIVERGED, "the loss is not finite: try a lower --learning-rate, or --warmup 1")
    return OK


def _callbacks(arguments, folder) -> list:
    watching = []
    for option, (cls, _) in _CALLBACKS.items():
        pairs = vars(arguments)[option[2:].replace("-", "_")]
        if pairs is not None:
            watching.append(cls(**settings(option, pairs, cls)))
    watching.append(callbacks.GradientMonitor())
    # `on_nonfinite` already says what to do with such steps.
    if not any(getattr(callback, "on_nonfinite", None) for callback in watching):
        watching.append(callbacks.TerminateOnNonFinite(every=_LOOK_EVERY))
    if arguments.doctor:
        watching.append(callbacks.Doctor(verbose=0))
    if arguments.resume:
        watching.append(callbacks.ExactResume(state_of(arguments, folder)))
    return watching


def _fit(work: Experiment, arguments, watching) -> tuple[dict, float]:
    """Trains; returns the history and the time in seconds."""
    start = time.perf_counter()
    after = "run the same command again to continue" if arguments.resume else "add --resume to be able to continue"
    with training(f"interrupted: {after}"), ProgressBar(arguments.epochs, len(work.batches)) as bar:
        history = work.model.fit(
            work.batches,
            epochs=arguments.epochs,
            # The batches shuffle their samples themselves.
            shuffle=False,
            validation_data=work.parts["validation"],
            validation_batch_size=_EVALUATION_BATCH,
            callbacks=[*watching, bar],
            verbose=0,
        ).history
    # Averaged weights have other batch statistics than the weights they were averaged from.
    if arguments.average or getattr(work.model.optimizer, "use_ema", False):
        layers.recalibrate(work.model, work.parts["training"][0], batch_size=arguments.batch_size, verbose=0)
    return history, time.perf_counter() - start


def _results(work: Experiment) -> dict:
    """Loss and accuracy on each part, and the confusion matrix of the test part."""
    results = {}
    for part, (x, y) in work.parts.items():
        values = work.model.evaluate(x, y, batch_size=_EVALUATION_BATCH, verbose=0, return_dict=True)
        results[part] = {"samples": len(y), "loss": values.pop("loss"), **values}
    if work.task.classes is None:
        return {"results": results}
    x, y = work.parts["test"]
    decided = work.task.decide(work.model.predict(x, batch_size=_EVALUATION_BATCH, verbose=0))
    matrix = np.zeros((len(work.task.classes),) * 2, dtype=int)
    np.add.at(matrix, (y, decided), 1)
    return {"results": results, "classes": work.task.classes, "confusion": matrix}


def _judged(watching) -> tuple[dict | None, dict]:
    """The document of the doctor if it watched, and its word for the record."""
    for doctor in watching:
        if isinstance(doctor, callbacks.Doctor):
            document = doctor.document()
            summary = diagnosis.report(document)
            return document, {"doctor": {"status": summary["status"], "verdict": summary["verdict"]}}
    return None, {}


def _pictures(record) -> dict:
    drawn = {"curves": lambda figures: figures.learning_curves(record)}
    if "confusion" in record:
        drawn["confusion"] = lambda figures: figures.confusion(record["confusion"], record["classes"])
    return drawn


def _summary(record) -> list[str]:
    trained = f"{counted(record['parameters'], 'parameter')}, {counted(len(record['history']['loss']), 'epoch')}"
    seconds = f"{record['seconds']:.1f} s"
    lines = [f"{trained} in {seconds} on {record['backend']}, seed {record['arguments']['seed']}"]
    return [*lines, f"doctor: {record['doctor']['verdict']}"] if "doctor" in record else lines
