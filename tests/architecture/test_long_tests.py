"""The list of long tests names tests that exist."""

import ast
from pathlib import Path

import long_tests
import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_every_long_test_exists(backend):
    """A renamed test would come back to `make test` in silence, and its line stay."""
    for test in long_tests.listed(backend):
        # A class may inherit its tests from Keras's own.
        file, name, *_ = test.partition("[")[0].split("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}, test
