"""Writes `tests/long_tests.txt`, the tests that `make test` leaves to `make test-all`, from the times of a run.

KERAS_BACKEND=jax python -m pytest --junitxml=runs/jax.xml
python tests/long_tests.py SECONDS jax runs/jax*.xml

The lines of other backends stay. A function whose cases all take longer than `SECONDS` is one line. On PyTorch, where the
suite is fastest, hardly a test is long: `make test` runs nearly all of them there.
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

LIST = Path(__file__).with_suffix(".txt")


def listed(backend):
    """The tests of a backend in the list: node ids of pytest with or without the case in brackets."""
    pairs = (line.split(" ", 1) for line in LIST.read_text(encoding="utf-8").splitlines())
    return {test for name, test in pairs if name == backend}


def is_long(node, tests):
    return node in tests or node.partition("[")[0] in tests


def measured(files, seconds):
    """The tests of the files that took longer."""
    times = defaultdict(dict)
    for file in files:
        for case in ElementTree.parse(file).getroot().iter("testcase"):
            node = f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}"
            times[node.partition("[")[0]][node] = float(case.get("time"))
    found = set()
    for function, cases in times.items():
        slow = {node for node, time in cases.items() if time > seconds}
        found |= {function} if len(slow) == len(cases) else slow
    return found


def main():
    seconds, backend, *files = sys.argv[1:]
    kept = [line for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith(f"{backend} ")]
    lines = kept + [f"{backend} {test}" for test in measured(files, float(seconds))]
    LIST.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
