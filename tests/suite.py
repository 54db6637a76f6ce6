"""Runs the linter, then pytest for each backend in several processes, and prints a summary.

python tests/suite.py [--all] [--shuffle SEED] [--coverage] [backend …] [-- pytest arguments]

Tests marked `once` do not depend on the backend and run on the last of the backends alone. Those marked `long` wait for
`--all`. `--shuffle` changes the order of the files in a process and of the tests in a file. `--coverage` ends with the
lines that no backend has run.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("tensorflow", "jax", "torch")
# A process keeps everything that its framework has compiled: with a fifth of the suite in one, JAX reached 4.5 GB.
ROOMS = {
    "contracts": ("contracts",),
    "data": ("data", "initializers", "parity"),
    "diagnosis": ("diagnosis",),
    "figures": ("docs", "figures"),
    "layers": ("layers",),
    "models": ("losses", "models"),
    "optimizers": ("optimizers",),
    "training": ("callbacks", "_training"),
}
PARTS = {part: [f"tests/{room}" for room in rooms] for part, rooms in ROOMS.items()}
# These rooms have targets of their own in the Makefile.
APART = ("engines", "fuzz", "hostile", "soak")
PARTS["others"] = [f"--ignore={room}" for part in PARTS.values() for room in part]
PARTS["others"] += [f"--ignore=tests/{room}" for room in APART]


def run(backend, part, command, options):
    """Returns the backend, its counts and the seconds it took; prints the output of the run."""
    start = time.perf_counter()
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # The processes share the cores: PyTorch's threads would spin at every barrier, ten times slower than one thread.
    environment.setdefault("OMP_NUM_THREADS", "1")
    if options.shuffle is not None:
        environment["SHUFFLE"] = str(options.shuffle)
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = time.perf_counter() - start
    print(f"\n{'=' * 30} {backend}, {part}, {seconds:.0f} s {'=' * 30}\n{done.stdout}", flush=True)
    closing = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    counts = Counter(
        {
            word.rstrip("s"): int(n)
            for n, word in re.findall(r"(\d+) (passed|failed|errors?|skipped|deselected)", closing)
        }
    )
    counts["failed"] += counts.pop("error", 0)
    if done.returncode and not counts["failed"]:
        counts["failed"] = 1
    return backend, counts, seconds


def chosen(marks):
    """The expression by which pytest leaves out tests with these marks."""
    return " and ".join(f"not {mark}" for mark in marks)


def parsed(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backends", nargs="*", metavar="backend", help=", ".join(BACKENDS))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--shuffle", type=int, metavar="SEED")
    parser.add_argument("--coverage", action="store_true")
    return parser.parse_args(words)


def main():
    before, _, after = " ".join(sys.argv[1:]).partition("-- ")
    options = parsed(before.split())
    backends = options.backends or BACKENDS
    left_out = [] if options.all else ["long"]
    parts = {"chosen": after.split()} if after else PARTS
    command = ["coverage", "run", "-m", "pytest"] if options.coverage else ["pytest"]
    clean = subprocess.run([sys.executable, "tests/lint.py"], cwd=ROOT).returncode == 0
    jobs = [
        (backend, part, [*command, "-m", chosen(left_out + ["once"] * (backend != backends[-1])), *arguments], options)
        for backend in backends
        for part, arguments in parts.items()
    ]
    start = time.perf_counter()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = list(pool.map(lambda job: run(*job), jobs))

    print(f"\n{'linter':12} {'clean' if clean else 'FAILED'}")
    total = Counter(failed=int(not clean))
    for backend in dict.fromkeys(backend for backend, *_ in results):
        mine = [(counts, seconds) for other, counts, seconds in results if other == backend]
        counts = sum((counts for counts, _ in mine), Counter())
        total += counts
        print(f"{backend:12} {counts['passed']} passed, {counts['failed']} failed", end=" ")
        print(f"in {sum(s for _, s in mine):.0f} s, {counts['deselected']} left out")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped", end=" ")
    print(f"in {time.perf_counter() - start:.0f} s")
    if options.coverage:
        subprocess.run([sys.executable, "-m", "coverage", "combine", "--quiet"], cwd=ROOT, check=True)
        subprocess.run([sys.executable, "-m", "coverage", "report"], cwd=ROOT, check=True)
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
