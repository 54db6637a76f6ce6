"""Breaks the formulas one at a time and counts how often their tests notice.

KERAS_BACKEND=torch python tests/mutation/run.py [--sample N] [--seed S] [--again FILE] [part of a file name …]

Each mutant runs in a process of its own, forked after the imports that all share. A mutant that survives on one backend
may be the formula of which that backend has a kernel: `--again` runs the survivors that an earlier run wrote on
another.
"""

import argparse
import ast
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import signal
import sys
from pathlib import Path

import keras
import pytest
from mutants import mutants

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 150
MEMORY = 8 << 30
# Source file → the tests that should notice.
TESTS = {
    "activations": ["tests/test_activations.py"],
    "regularizers": ["tests/test_regularizers.py"],
    "constraints": ["tests/test_constraints.py"],
    "losses/classification": ["tests/losses"],
    "losses/margin": ["tests/losses"],
    "losses/regression": ["tests/losses"],
    "initializers/random": ["tests/initializers"],
    "initializers/constant": ["tests/initializers"],
    "initializers/bilinear": ["tests/initializers"],
    "optimizers/sgd": ["tests/optimizers/test_rules.py", "tests/optimizers/test_range.py"],
    "optimizers/adaptive": ["tests/optimizers/test_rules.py", "tests/optimizers/test_range.py"],
    "optimizers/rectified_adam": ["tests/optimizers/test_rules.py", "tests/optimizers/test_range.py"],
    "optimizers/averages": ["tests/optimizers/test_averages.py", "tests/optimizers/test_rules.py"],
    "optimizers/nesterov": ["tests/optimizers/test_nesterov.py", "tests/optimizers/test_rules.py"],
    "optimizers/newton": ["tests/optimizers/test_newton.py"],
    "optimizers/schedules": ["tests/optimizers/test_schedules.py"],
    "optimizers/armijo": ["tests/optimizers/test_armijo.py", "tests/optimizers/_search"],
    "optimizers/lbfgs": ["tests/optimizers/test_lbfgs.py", "tests/optimizers/_search"],
    "optimizers/_search/line_search": ["tests/optimizers/_search", "tests/optimizers/test_lbfgs.py"],
    "optimizers/_search/vectors": ["tests/optimizers/_search", "tests/optimizers/test_lbfgs.py"],
    "callbacks/_watch/clipping_rules": ["tests/callbacks/test_gradient_clipping.py"],
}


class Replaced(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a mutated source."""

    def __init__(self, name, source):
        self.name, self.source = name, source

    def find_spec(self, fullname, path=None, target=None):
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def exec_module(self, module):
        exec(compile(self.source, self.name, "exec"), module.__dict__)


def survives(name, source):
    """Whether the tests of a file pass with its mutant; a mutant that hangs does not survive."""
    process = os.fork()
    if process == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        # Of the processor, because other programs may share it; a mutant that only waits ends, too.
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        signal.alarm(10 * SECONDS)
        # A loop that a mutant never ends may collect without end.
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        sys.meta_path.insert(0, Replaced(f"keras_lecture.{name.replace('/', '.')}", source))
        os._exit(0 if pytest.main(["-x", *TESTS[name]]) == 0 else 1)
    _, status = os.waitpid(process, 0)
    return status == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/survivors.json"))
    options = parser.parse_args()
    os.chdir(ROOT)
    known = {tuple(pair) for pair in json.loads(options.again.read_text())} if options.again else None
    cases = [
        (name, line, change, source)
        for name in TESTS
        if not options.files or any(part in name for part in options.files)
        for line, change, source in mutants(Path(f"keras_lecture/{name}.py").read_text(encoding="utf-8"))
        if known is None or (name, line, change) in known
    ]
    if options.sample:
        cases = random.Random(options.seed).sample(cases, min(options.sample, len(cases)))
    for name in sorted({name for name, *_ in cases}):
        unchanged = ast.unparse(ast.parse(Path(f"keras_lecture/{name}.py").read_text(encoding="utf-8")))
        if not survives(name, unchanged):
            sys.exit(f"The tests of {name}.py fail without a mutant: {' '.join(TESTS[name])}")
    survivors = []
    for name, line, change, source in sorted(cases):
        if survives(name, source):
            survivors.append((name, line, change))
            print(f"survived: {name}.py:{line}  {change}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(survivors, indent=1))
    killed = len(cases) - len(survivors)
    print(f"{keras.backend.backend()}: {killed} of {len(cases)} mutants noticed ({killed / max(1, len(cases)):.3f})")


if __name__ == "__main__":
    main()
