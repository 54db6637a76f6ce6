"""Every rule of the doctor has a page with its texts, its cure and a run that shows it; the code on the pages runs."""

import ast
import sys
from pathlib import Path

import pytest
from support import snippets

from keras_lecture.diagnosis._rules import RULES
from keras_lecture.diagnosis._rules.rule import SEVERITIES

pytestmark = pytest.mark.once

DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.insert(0, str(DOCS))

import rules  # noqa: E402

sys.path.remove(str(DOCS))
TEXTS, RUNS = rules.texts(), rules.runs()
# Equal code runs once.
SEEN = {text["see"]: name for name, text in reversed(TEXTS.items())}


def test_every_rule_has_its_texts_and_no_text_lacks_its_rule():
    assert set(TEXTS) == set(RULES)
    for name, text in TEXTS.items():
        assert set(text) == {"means", "matters", "see", "reading"}, name
        assert all(part.strip() for part in text.values()), name


def test_every_rule_has_a_run_that_shows_it():
    assert set(RUNS) == set(RULES)
    for name, run in RUNS.items():
        assert run["rule"] == name
        assert run["severity"] in SEVERITIES
        assert run["evidence"] and run["cause"] and run["description"], name
        assert (DOCS.parent / run["file"]).exists(), name
        assert f"def {run['program']}(" in (DOCS.parent / run["file"]).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("name", sorted(RULES))
def test_page_has_the_criterion_the_cure_and_the_finding(name):
    page = rules.page(name, TEXTS[name], RUNS[name])
    assert page.startswith(f"({name})=\n# {name}\n")
    for rule in RULES[name]:
        for text in (rule.criterion, rule.scale_free, rule.cure):
            assert rules.sentence(text) in page
        assert rule.code in page
    assert RUNS[name]["cause"] in page
    assert all(value in page for value in RUNS[name]["evidence"].values())


@pytest.mark.parametrize("code", SEEN, ids=SEEN.values())
def test_code_of_a_page_runs_as_written(code, capsys):
    """On a small model with data, see `support/snippets.py`; it prints something to look at."""
    assert 1 <= len(code.strip().splitlines()) <= 7
    assert "…" not in ast.unparse(ast.parse(code))
    snippets.run(code, snippets.names())
    assert capsys.readouterr().out.strip()


def test_pages_and_list_are_written_and_stale_pages_removed(tmp_path):
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "gone.md").write_text("# gone")
    rules.write(folder, tmp_path / "rules.inc")
    assert {file.stem for file in folder.glob("*.md")} == set(RULES)
    listed = (tmp_path / "rules.inc").read_text(encoding="utf-8")
    assert all(listed.count(f"(rules/{name}.md)") == 1 and f"\nrules/{name}\n" in listed for name in RULES)
