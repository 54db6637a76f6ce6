"""Trains every sick program and its healthy twin without the doctor, and prints the score of both.

    KERAS_BACKEND=jax PYTHONPATH=tests nice python -m ward.check_twins [--seed 0] [part of a name or file …]

A case is one only if the healthy twin trains clearly better, unless it says `shows=False`.
"""

import argparse
import contextlib
import importlib
import os
import sys
import time
from pathlib import Path

import keras
from ward.programs import default_score
from ward.ward import CASES

# These runs compile much and compute little: with XLA's optimizations they take eight times as long.
XLA_FLAGS = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)
FILES = ("data", "outputs", "structure", "rates", "flow", "generalization", "public", "mutants")


def load():
    """Enters the cases of all files that are there."""
    for part in FILES:
        if Path(__file__).with_name(f"sick_{part}.py").exists():
            importlib.import_module(f"ward.sick_{part}")
    return CASES


def trained(case, sick, seed):
    """Score, seconds of the processor with compilation, and steps of one run."""
    keras.utils.set_random_seed(seed)
    run = case.build(sick, seed)
    score = default_score(run)
    start = time.process_time()
    run.model.fit(run.x, run.y, **({"verbose": 0} | run.fit))
    seconds = time.process_time() - start
    return score(run.model), seconds, int(run.model.optimizer.iterations)


def better(sick, healthy):
    """Whether a score is clearly better: half of the remaining error gone, or a tenth more of the scale."""
    if not sick > float("-inf"):
        return healthy > float("-inf")
    return healthy - sick > 0.1 or (healthy <= 1 and 1 - healthy < 0.5 * (1 - sick))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("parts", nargs="*")
    given = parser.parse_args()
    os.environ.setdefault("XLA_FLAGS", XLA_FLAGS)
    bad = 0
    # A sick run may end in an error.
    failed = float("-inf"), 0.0, 0
    # So that a run that is cut short has seen the held-out ones.
    for case in sorted(load().values(), key=lambda case: not case.held_out):
        if given.parts and not any(part in f"{case.build.__module__}.{case.name}" for part in given.parts):
            continue
        try:
            sick, seconds, steps = failed
            with contextlib.suppress(Exception):
                sick, seconds, steps = trained(case, True, given.seed)
            healthy, other, more = trained(case, False, given.seed)
        except Exception as error:
            print(f"ERROR {case.name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            bad += 1
            continue
        shown = "ok" if better(sick, healthy) else "--" if not case.shows else "NO"
        bad += shown == "NO"
        numbers = f"{sick:9.3f} {healthy:9.3f}  {seconds:5.1f} s {other:5.1f} s  {steps:5} {more:5} steps"
        print(f"{shown} {case.name:45} {case.fault:24} {numbers}", flush=True)
        keras.backend.clear_session()
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
