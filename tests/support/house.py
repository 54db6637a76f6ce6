"""The files of the package, for the tests that read them."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "keras_lecture"
FILES = sorted(PACKAGE.rglob("*.py"))
