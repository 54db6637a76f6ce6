"""The version is the same in the package, the changelog and the citation."""

import re
from pathlib import Path

import pytest

import keras_lecture

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[1]


def test_the_changelog_has_the_version():
    entries = re.findall(r"^## .*?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert entries[0] == keras_lecture.__version__


def test_the_citation_has_the_version():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    assert cited[1] == keras_lecture.__version__
