"""The files of the package, for tests that read source code."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "keras_lecture"
FILES = sorted(PACKAGE.rglob("*.py"))
