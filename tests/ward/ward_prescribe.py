"""Trains the sick programs with the models that `diagnosis.prescribe` builds for them, and compares the scores.

    KERAS_BACKEND=torch python tests/ward/ward_prescribe.py [--seed 0] [--out FILE] [word …]

Each program is trained under the doctor; the model of a second, untrained copy is rebuilt with the open findings and
trained with the program's own arguments of `fit`. It is well if it ends within 0.02 of the accuracy of the healthy twin
or, for other scores, after 90 % of the way from the sick program to the twin.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

# The folder of this script, first on the path, has a `ward.py` that would hide the package `ward`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from ward.check_twins import XLA_FLAGS, load  # noqa: E402
from ward.programs import default_score  # noqa: E402

from keras_lecture.callbacks import Doctor  # noqa: E402
from keras_lecture.diagnosis import prescribe  # noqa: E402
from keras_lecture.diagnosis._prescribe.rules import CHANGES  # noqa: E402

SMALL_FIRST = ("regression", "mlp", "autoencoder", "multi-output", "attention", "recurrent", "cnn", "residual")


def built(case, sick, seed):
    """A run whose layers have the same names each time."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    return case.build(sick, seed)


def trained(run, model, callbacks=()):
    """The model's score after the program's `fit`; minus infinity if it fails."""
    options = {"validation_data": run.validation_data, "verbose": 0} | run.fit
    options["callbacks"] = [*options.get("callbacks", ()), *callbacks]
    try:
        model.fit(run.x, run.y, **options)
        score = default_score(run)(probabilities(model))
    except (RuntimeError, ValueError, IndexError) as error:
        print(f"    {type(error).__name__}: {str(error)[:200]}", flush=True)
        return float("-inf")
    return score if np.isfinite(score) else float("-inf")


def probabilities(model):
    """The model with a softmax behind scores, because the programs' own scores read probabilities."""
    loss = model.loss
    if isinstance(loss, dict | list) or not getattr(loss, "from_logits", False):
        return model
    return keras.Sequential([model, keras.layers.Softmax() if model.output_shape[-1] > 1 else _sigmoid()])


def _sigmoid():
    return keras.layers.Activation("sigmoid")


def is_well(run, sick, twin, cured):
    """Whether the cured model is as good as the twin."""
    score = run.score
    labels = None if run.validation_data is None else np.asarray(run.validation_data[1])
    is_default = score is None and labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer)
    if is_default or getattr(score, "__qualname__", "").startswith("accuracy"):
        return cured >= twin - 0.02
    start = sick if np.isfinite(sick) else min(0.0, twin - 1.0)
    return bool(cured >= twin - 0.1 * max(0.0, twin - start) - 1e-6)


def examined(case, seed):
    """The scores of the sick program, of its twin and of the cured model, and what was changed."""
    start = time.process_time()
    run, doctor = built(case, True, seed), Doctor(verbose=0)
    sick = trained(run, run.model, [doctor])
    findings = doctor.findings
    run = built(case, True, seed)
    # It has the names and the start of the model that the doctor has seen.
    run.model(keras.tree.map_structure(lambda part: part[:2], run.x))
    prescription = prescribe(run.model, findings, run.x)
    line = {"changes": prescription.changes, "refused": prescription.refused, "sick": sick, "cured": None}
    if prescription.model is not None:
        keras.utils.set_random_seed(seed)
        line["cured"] = trained(run, prescription.model)
    healthy = built(case, False, seed)
    line["twin"] = trained(healthy, healthy.model)
    line["well"] = line["cured"] is not None and is_well(run, sick, line["twin"], line["cured"])
    return line | {"seconds": round(time.process_time() - start, 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="prescribe.jsonl")
    given = parser.parse_args()
    os.environ.setdefault("XLA_FLAGS", XLA_FLAGS)
    out = Path(given.out)
    done = {json.loads(line)["name"] for line in out.read_text().splitlines()} if out.exists() else set()
    cases = [case for case in load().values() if case.fault in CHANGES and case.name not in done]
    order = {family: index for index, family in enumerate(SMALL_FIRST)}
    for case in sorted(cases, key=lambda case: order.get(case.family, len(order))):
        if given.words and not any(word in f"{case.build.__module__}.{case.name}" for word in given.words):
            continue
        try:
            line = examined(case, given.seed)
        except Exception as error:
            line = {"error": f"{type(error).__name__}: {str(error)[:300]}", "well": False}
        line |= {"name": case.name, "fault": case.fault, "family": case.family, "held_out": case.held_out}
        with out.open("a") as file:
            file.write(json.dumps(line, default=str) + "\n")
        scores = " ".join(
            f"{line[key]:8.3f}" if line.get(key) is not None else " " * 8 for key in ("sick", "twin", "cured")
        )
        print(f"{'well' if line['well'] else 'ILL '} {case.name:45} {case.fault:24} {scores} {line.get('error', '')}")
        for change in [] if line["well"] else [*line.get("changes", ()), *line.get("refused", ())]:
            print(f"       {change}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
