"""Finds the tests that prove a public name, by reading the tests' source."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import mentions

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
# Tests of all public names at once, which the page of each name need not repeat.
GENERAL = ("architecture", "contracts", "docs", "ward")
SHOWN = 4
# Words in the name of a test that compares with something independent, and in the source of such a test.
COMPARES = re.compile(r"match|equal|agree|formula|derivative|torch|optax|scipy|oracle|identit|deck|slide|textbook")
ORACLES = re.compile(r"oracle|torch\.|optax|scipy|sklearn|closed_form|lecture|deck")
REFUSALS = re.compile(r"reject|refuse|invalid|bad_|is_an_error|message|missing|unknown")


class Source(NamedTuple):
    """A parsed file: its lines, its imports from the package and from other test files, its top-level definitions."""

    lines: list
    aliases: dict
    modules: dict
    outer: dict


class Test(NamedTuple):
    """A test with the public paths in it (True) and in the tables and functions that it uses (False)."""

    file: str
    name: str
    found: dict
    text: str


def proofs(path, public):
    """The `SHOWN` tests that tell most about a public name: `[("tests/losses/test_values.py", "test_…"), …]`."""
    found = [test for test in tests(tuple(sorted(public))) if path in test.found]
    best = sorted(found, key=lambda test: (-score(path, test), test.file, test.name))[:SHOWN]
    return [(test.file, test.name) for test in best]


def score(path, test):
    """How much a test tells about a name: most if it compares this name alone with an oracle, in its own file."""
    room, _, unit = path.rpartition(".")
    name, unit = test.name.replace("_", ""), re.sub(r"_|\d?d$", "", unit.lower())
    others = {other.rpartition(".")[2].replace("_", "").lower() for other in test.found} - {unit}
    is_own_file = unit in test.file.replace("_", "") or Path(test.file).stem == f"test_{room.rpartition('.')[2]}"
    return (
        3 * test.found[path]
        + 3 * (room.split(".")[0] in test.file)
        + 3 * is_own_file
        + 2 * (unit in name)
        + 5 * bool(COMPARES.search(test.name))
        + 3 * bool(ORACLES.search(test.text))
        + 2 / len(test.found)
        - 6 * bool(REFUSALS.search(test.name))
        - 6 * (unit not in name and any(other in name for other in others))
    )


@cache
def tests(names):
    files = [file for file in sorted(TESTS.rglob("test_*.py")) if file.relative_to(TESTS).parts[0] not in GENERAL]
    return [test for file in files for test in tests_of(file, names)]


def tests_of(file, names):
    """The tests of a file."""
    public = dict.fromkeys(names)
    # In the folder or the file of a room, a text such as "Adam" means its class.
    parts = (*file.relative_to(TESTS).parts, file.stem.removeprefix("test_"))
    rooms = {name.rpartition(".")[0] for name in names} - {"diagnosis.divergence"}
    defaults = tuple(sorted(room for room in rooms if room.split(".")[0] in parts))
    inside = {}

    def within(home, node):
        if node not in inside:
            walk = (mentions.paths(one, read(home).aliases, public, defaults) for one in ast.walk(node))
            inside[node] = {path for paths in walk for path in paths}
        return inside[node]

    for name, node in read(file).outer.items():
        if name.startswith("test_") and isinstance(node, ast.FunctionDef):
            used = reached(file, node)
            found = dict.fromkeys({path for one in used for path in within(*one)}, False)
            text = "\n".join("\n".join(read(home).lines[one.lineno - 1 : one.end_lineno]) for home, one in used)
            yield Test(str(file.relative_to(ROOT)), name, found | dict.fromkeys(within(file, node), True), text)


@cache
def read(file):
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    outer = {name: node for node in tree.body for name in defined(node)}
    return Source(text.splitlines(), mentions.imported(tree), other_files(tree), outer)


def other_files(tree):
    """`{"oracles": (tests/oracles/basic.py, None), "RULES": (tests/support/noisy_quadratic.py, "RULES")}`."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            folder = TESTS.joinpath(*node.module.split("."))
            for name in node.names:
                if (file := folder / f"{name.name}.py").is_file():
                    found[name.asname or name.name] = file, None
                elif (file := folder.with_suffix(".py")).is_file():
                    found[name.asname or name.name] = file, name.name
    return found


def defined(node):
    """The names that a statement at the top of a file defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]


def reached(file, node):
    """The top-level statements, with their files, that a test uses directly or through others, and the test itself."""
    seen, todo = {node: file}, [(file, node)]
    while todo:
        for home, found in used(*todo.pop()):
            if found not in seen:
                seen[found] = home
                todo.append((home, found))
    return [(home, found) for found, home in seen.items()]


@cache
def used(file, node):
    """The top-level statements that one statement names; a fixture is named by an argument."""
    source, found = read(file), []
    for one in ast.walk(node):
        name = one.id if isinstance(one, ast.Name) else one.arg if isinstance(one, ast.arg) else None
        if name in source.outer:
            found.append((file, source.outer[name]))
        elif name in source.modules and source.modules[name][1]:
            home, name = source.modules[name]
            found.append((home, read(home).outer.get(name)))
        elif isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id in source.modules:
            home, _ = source.modules[one.value.id]
            found.append((home, read(home).outer.get(one.attr)))
    return [pair for pair in found if pair[1] is not None]
