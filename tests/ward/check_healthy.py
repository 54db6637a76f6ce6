"""Checks that the healthy programs train: skill after training, share of the skill before it, steps and seconds.

KERAS_BACKEND=jax python tests/ward/check_healthy.py [--seeds 0,1,2] [word …]     programs whose file or name has a word
"""

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

# The folder of this script, first on the path, has a `ward.py` that would hide the package `ward`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# As in the test suite: much is compiled and little computed.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)

import keras  # noqa: E402
import numpy as np  # noqa: E402
from ward.ward import HEALTHY  # noqa: E402

# The least skill: half of the way from chance to perfect, and less where the data have much noise.
LEAST, LEAST_STEPS, MOST_SECONDS = 0.5, 20, 6.0
NOISY = {"diabetes": 0.3, "variational_autoencoder": 0.3}


def collect():
    """The modules of the healthy programs, loaded."""
    for path in sorted(Path(__file__).parent.glob("healthy_*.py")):
        importlib.import_module(f"ward.{path.stem}")


def trained(entry, seed):
    """Skill before and after, steps, seconds of `fit`, and whether all of the losses are finite."""
    run = entry.build(seed)
    before = run.score(run.model)
    # A score may build the optimizer's iterations only later; a model of a second fit starts above 0.
    start = int(run.model.optimizer.iterations)
    begin = time.process_time()
    history = run.model.fit(run.x, run.y, validation_data=run.validation_data, verbose=0, **run.fit).history
    seconds = time.process_time() - begin
    steps = int(run.model.optimizer.iterations) - start
    finite = all(np.isfinite(values).all() for values in history.values())
    return before, run.score(run.model), steps, seconds, finite, history


def report(name, seed):
    """Prints a line on one run; whether it is as it should be."""
    try:
        before, after, steps, seconds, finite, history = trained(HEALTHY[name], seed)
    except Exception as error:
        print(f"{name:60} {seed} ERROR {type(error).__name__}: {str(error)[:300]}", flush=True)
        return False
    good = after >= NOISY.get(name, LEAST) and steps >= LEAST_STEPS and seconds <= MOST_SECONDS and finite
    losses = [f"{key} {v[0]:.3g}→{v[-1]:.3g} (least {min(v):.3g})" for key, v in history.items() if "loss" in key]
    print(f"{name:60} {seed} {'ok  ' if good else 'FAIL'} skill {before:6.2f} → {after:5.3f}", end=" ")
    print(f"{steps:5} steps {seconds:4.1f} s", *losses[-2:], flush=True)
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seeds", default="0")
    arguments = parser.parse_args()
    collect()
    failures, runs = [], 0
    for name, entry in HEALTHY.items():
        if arguments.words and not any(word in name or word in entry.build.__module__ for word in arguments.words):
            continue
        for seed in map(int, arguments.seeds.split(",")):
            runs += 1
            if not report(name, seed):
                failures.append((name, seed))
            keras.utils.clear_session(free_memory=False)
    held = sum(entry.held_out for entry in HEALTHY.values())
    print(f"{len(HEALTHY)} programs, {held} held out; {runs} runs, failed: {failures}")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
