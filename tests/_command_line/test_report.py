"""`keras-lecture report`: the page, the findings, the exit codes, and files that are no record of the doctor."""

import contextlib
import io
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from diagnosis._report.documents import document, finding
from support.command import run

from keras_lecture import diagnosis
from keras_lecture._command_line import main
from keras_lecture._command_line.endings import EXIT_CODES
from keras_lecture.diagnosis._record.record import write
from keras_lecture.diagnosis._report import summary
from keras_lecture.diagnosis._rules import RULES
from keras_lecture.diagnosis._rules.rule import Finding, Unknown

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
SICK = finding(severity="medium", changed_step=40)
RUNS = {
    "healthy": document(),
    "low": document(findings=[finding(severity="low")]),
    "healed": document(findings=[finding(is_open=False)]),
    "medium": document(findings=[SICK]),
    "high": document(findings=[SICK, finding()]),
    "unjudged": document(probes=[], start={}),
}


@pytest.fixture
def saved(tmp_path):
    """A function that saves a document and returns its path."""

    def save(content, name="run.json"):
        path = tmp_path / name
        write(content, path) if isinstance(content, dict) else path.write_text(content)
        return path

    return save


@pytest.mark.parametrize(("name", "code"), list(zip(RUNS, (0, 0, 0, 4, 5, 6), strict=True)))
def test_writes_the_page_and_ends_with_the_code_of_the_worst_open_finding(name, code, saved):
    path = saved(RUNS[name])
    result = run("report", path)
    assert (result[0], result[2]) == (code, "")
    page = path.with_suffix(".html")
    assert result[1].splitlines()[-1] == str(page)
    assert diagnosis.report(path)["verdict"].split()[0] in page.read_text(encoding="utf-8")
    for found in RUNS[name]["findings"]:
        assert found["rule"] in result[1] and found["code"] in result[1]


def test_json_option_prints_the_summary_in_one_line_and_nothing_else(saved):
    path = saved(RUNS["high"])
    code, out, err = run("report", path, "--json", "--out", path.with_name("page.html"))
    assert (code, err, out.count("\n")) == (5, "", 1)
    assert json.loads(out) == diagnosis.report(path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["page.html", "run.json"]


def test_a_record_without_findings_is_judged(saved):
    bare = {name: value for name, value in RUNS["healthy"].items() if name not in ("findings", "unknown", "actions")}
    code, out, _ = run("report", saved(bare), "--json")
    assert code == json.loads(out)["exit_code"] and json.loads(out)["unknown"]


def test_unknown_fields_of_a_later_version_are_ignored(saved):
    later = document(findings=[SICK | {"later": 1}], later={"a": 1})
    assert run("report", saved(later))[0] == 4


def test_since_prints_what_is_new_and_keeps_the_code(saved):
    path = saved(document(findings=[SICK, finding(severity="low", rule="underfit", changed_step=60)]))
    code, out, _ = run("report", path, "--json", "--since", 40)
    assert (code, [found["rule"] for found in json.loads(out)["findings"]]) == (4, ["underfit"])
    code, out, _ = run("report", path, "--json", "--since", 10**6)
    assert (code, json.loads(out)["findings"]) == (4, [])


def test_another_run_is_shown_beside_it(saved):
    path, other = saved(RUNS["medium"]), saved(RUNS["low"], "other.json")
    pages = []
    for words in ([], ["--compare", other]):
        code, _, err = run("report", path, *words)
        assert (code, err) == (4, "")
        pages.append(path.with_suffix(".html").read_text(encoding="utf-8"))
    verdict = diagnosis.report(RUNS["low"])["verdict"].replace(" %", "\N{NO-BREAK SPACE}%")
    assert [verdict in page for page in pages] == [False, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON: Expecting value"),
        ("[" * 100_000, "is not JSON: RecursionError"),
        ("[]", "is no record of schema 1: its `schema` is None. Pass a file that `Doctor.save`"),
        ('{"schema": 2}', "is no record of schema 1: its `schema` is 2."),
        ('{"command": "train", "history": {}}', "is no record of schema 1"),
        (document(probes=5), "is damaged: its `probes` must be a list."),
        (document(findings=[{"rule": "dead-relu"}]), "is damaged: an entry of its `findings` is incomplete."),
        (document(findings=[finding(severity="worst")]), "is damaged: it cannot be reported on (ValueError"),
    ],
)
def test_a_file_that_is_no_run_is_a_usage_error_of_one_line(content, message, saved):
    path = saved(content)
    code, out, err = run("report", path)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(f"keras-lecture: {path} ") and message in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: RUN.json"),
        (["missing.json"], "`RUN.json` must be an existing file. Received: RUN.json='missing.json'."),
        (["."], "`RUN.json` must be an existing file."),
        (["run.json", "--compare", "missing.json"], "`--compare` must be an existing file."),
        (["run.json", "--out", "run.json"], "`--out` must be the name of an .html file."),
        (["run.json", "--since", "-1"], "`--since` must be a whole number in [0, ∞)."),
        (["run.json", "--since", "end"], "argument --since: invalid int value: 'end'"),
        (["run.json", "more.json"], "unrecognized arguments: more.json ("),
    ],
)
def test_invalid_options_are_a_usage_error_of_one_line(words, message, saved, monkeypatch):
    monkeypatch.chdir(saved(RUNS["healthy"]).parent)
    code, out, err = run("report", *words)
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1


def test_a_page_that_cannot_be_written_does_not_hide_the_findings(saved):
    path = saved(RUNS["high"])
    code, out, err = run("report", path, "--out", path.parent / "no" / "page.html")
    assert code == 1 and "HIGH" in out
    assert err.startswith("keras-lecture: cannot write ") and err.endswith("Choose another with --out.\n")


@pytest.mark.parametrize("width", [40, 80])
def test_findings_fit_the_terminal(width, saved, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = run("report", saved(RUNS["high"]))
    code_lines = {f"    {line}" for found in RUNS["high"]["findings"] for line in found["code"].splitlines()}
    assert max(len(line) for line in out.splitlines()[:-1] if line not in code_lines) <= width
    assert "\x1b" not in out


def _documented(title):
    """The fields in the first column of the table with this title."""
    table = PAGE.partition(f"| {title} | value |\n")[2].partition("\n\n")[0]
    return [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_the_page_of_the_command_line_documents_every_field():
    assert _documented("field") == list(diagnosis.report(RUNS["healthy"]))
    assert _documented("field of a finding") == [field.name for field in fields(Finding)]
    assert _documented("field of an unknown") == [field.name for field in fields(Unknown)]


def test_help_and_page_list_the_exit_codes_of_the_findings():
    for code in summary.EXIT_CODES.values():
        assert re.search(rf"^  {code}    ", EXIT_CODES, re.MULTILINE) and f"\n| {code} | " in PAGE


def test_findings_have_at_most_two_kilobytes_and_keep_their_code():
    """Evidence can be long, as it lists layers; cause and cure can only be long with the name of a layer."""
    for rule in (rule for family in RULES.values() for rule in family):
        evidence = {f"layer {number}": "block/" * 100 for number in range(100)}
        found = rule.found("The cause.", evidence, layer="block/" * 20).to_dict()
        short = summary.bounded(found)
        assert len(json.dumps(short)) <= 2048
        assert {**short, "evidence": None} == {**found, "evidence": None}
        assert list(short["evidence"].values())[-1].endswith(" more") and "…" in short["evidence"]["layer 0"]


def test_a_terminal_without_unicode_gets_every_line(saved):
    path = saved(document(findings=[finding(layer="Schicht_ä", cause="The sum ∑ is ∞.")]))
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    with contextlib.redirect_stdout(screen):
        assert main(["report", str(path)]) == 5
    text = screen.buffer.getvalue().decode("ascii")
    assert "  The sum ? is ?." in text and text.endswith(".html\n")
