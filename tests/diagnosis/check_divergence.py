"""Healthy models on all pairs of backends: `diagnosis.divergence` is silent, and how far it is from an alarm.

KERAS_BACKEND=jax PYTHONPATH=tests python tests/diagnosis/check_divergence.py record runs/divergence
(the same for torch and tensorflow), then
PYTHONPATH=tests python tests/diagnosis/check_divergence.py compare runs/divergence
"""

import itertools
import os
import sys
import time
from pathlib import Path

BACKENDS = ("torch", "tensorflow", "jax")
# Differences that are there, by model and whether JAX is in the pair: under a policy of float64 JAX computes in float32
# unless it is told otherwise, and so does Keras 3.15's batch normalization on PyTorch.
KNOWN = {("float64", True): "conv2d", ("float64", False): "batch_normalization"}


def record(folder, chosen):
    """Writes the files of one backend; the exit status says whether all models could be recorded."""
    import keras
    from support.healthy_models import HEALTHY, fill

    from keras_lecture.diagnosis import divergence

    failed = 0
    for name in chosen or HEALTHY:
        start = time.perf_counter()
        keras.utils.clear_session(free_memory=True)
        keras.utils.set_random_seed(0)
        try:
            model, x, y = HEALTHY[name]()
            divergence.record(fill(model), x, y, file(folder, name, keras.backend.backend()))
        except Exception as error:
            print(f"{name:<24}FAILED {type(error).__name__}: {error}"[:2000], flush=True)
            failed += 1
            continue
        print(f"{name:<24}{time.perf_counter() - start:6.1f} s", flush=True)
    return failed


def compare(folder, chosen):
    """Prints a row for each model and pair; the exit status says whether there is an alarm."""
    from support.healthy_models import HEALTHY

    from keras_lecture.diagnosis import divergence

    alarms, pairs, worst = 0, 0, {}
    for name, (a, b) in itertools.product(chosen or HEALTHY, itertools.combinations(BACKENDS, 2)):
        if not all(file(folder, name, each).exists() for each in (a, b)):
            print(f"{name:<20}{a}-{b}: no file")
            continue
        found = divergence.compare(file(folder, name, a), file(folder, name, b))
        is_known = bool(found) and found.layer == KNOWN.get((name, "jax" in (a, b)))
        pairs, alarms = pairs + 1, alarms + (bool(found) and not is_known)
        for row in found.table:
            if row.reason in ("formula", "precision", "own"):
                worst[row.reason] = max(worst.get(row.reason, 0.0), row.ratio)
        top = max((row for row in found.table), key=lambda row: row.ratio)
        word = "known" if is_known else "ALARM"
        verdict = f"{word} {found.layer} {found.stage} {found.quantity} {found.reason}" if found else ""
        print(f"{name:<20}{a[:5]}-{b[:5]:<8}{len(found.table):5}{top.ratio:10.2g} {top.reason:<8}{verdict}")
        for note in found.notes if found or name in (chosen or ()) else ():
            print("   ", note)
    print(f"{pairs} pairs, {alarms} alarms; largest difference over the allowed one: {worst}")
    return alarms


def file(folder, name, backend):
    return Path(folder) / f"{name.replace(' ', '_')}.{backend}.npz"


if __name__ == "__main__":
    action, folder, *chosen = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    sys.exit(min({"record": record, "compare": compare}[action](folder, chosen) or 0, 1))
