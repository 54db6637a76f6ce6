"""Writes `tests/long_tests.txt`, the tests that `make test` leaves to `make test-all`, from the times of a run.

KERAS_BACKEND=jax python -m pytest --junitxml=runs/jax.xml
python tests/long_tests.py SECONDS jax runs/jax*.xml

Lines of other backends, and of tests that did not run, stay. A function most of whose cases took longer than `SECONDS`
is one line. On PyTorch, where the suite is fastest, few tests are long: `make test` runs nearly all of them there.
Tests of the repository itself (its prose, pages, README, files of earlier versions) stay out of the list by hand; on
TensorFlow and JAX the files in `figures` whose experiment trains for long are in it as a whole, because the next test
would train it.
"""

import re
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


def times(files):
    """`{function: {case: seconds}}` of the tests that the run did not leave out."""
    found = defaultdict(dict)
    for file in files:
        for case in ElementTree.parse(file).getroot().iter("testcase"):
            # A module, or a class in a module.
            module, _, inside = re.match(r"(.*\.test_\w+)(\.)?(\w+)?$", case.get("classname")).groups()
            names = filter(None, (f"{module.replace('.', '/')}.py", inside, case.get("name")))
            node = "::".join(names)
            found[node.partition("[")[0]][node] = float(case.get("time"))
    return found


def slow(measured, seconds):
    """The cases that took longer; a function most of whose cases did is one entry."""
    for function, cases in measured.items():
        longer = [node for node, time in cases.items() if time > seconds]
        yield from [function] if 2 * len(longer) > len(cases) else longer


def main():
    seconds, backend, *files = sys.argv[1:]
    measured = times(files)
    cases = {node for found in measured.values() for node in found}
    lines = LIST.read_text(encoding="utf-8").splitlines()
    unmeasured = {test for test in listed(backend) if test not in cases and test not in measured}
    new = unmeasured | set(slow(measured, float(seconds)))
    others = {line for line in lines if not line.startswith(f"{backend} ")}
    LIST.write_text("".join(f"{line}\n" for line in sorted(others | {f"{backend} {test}" for test in new})), "utf-8")


if __name__ == "__main__":
    main()
