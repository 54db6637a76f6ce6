"""The text for a terminal: complete, within the width, without colors and control characters unless asked for."""

import re

import pytest
from diagnosis._report.documents import document, finding, hostile

from keras_lecture.diagnosis._report.summary import summary
from keras_lecture.diagnosis._report.terminal import columns, text

pytestmark = pytest.mark.once

FOUND = finding(evidence={"dead units": "32 of 32 " + "and so on " * 30}, layer="a" * 100)


def is_code(line):
    return line.startswith("    keras")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("cause", ["Units are at rest. " * 9, "単位はすべて休んでいる。" * 9, "word" * 60])
def test_no_line_but_code_is_wider_than_the_terminal(width, cause):
    lines = text(summary(document(findings=[FOUND | {"cause": cause}])), width).splitlines()
    assert max(columns(line) for line in lines if not is_code(line)) <= width
    assert "".join(cause.split()) in "".join("".join(lines).split())


def test_it_says_everything_that_a_finding_says():
    result = text(summary(document(findings=[finding()], unseen=["the loss"])), 200)
    for part in (
        "HIGH    dead-relu in dense_1 (steps 40 to 100, 95 % sure)",
        "All units are at rest.",
        "- dead units: 32 of 32 (criterion: at least 25 %)",
        "To do: Use `leaky_relu` and a smaller learning rate.",
        '    keras.layers.Dense(32, "leaky_relu")',
        "1 rule could not tell: overfit.",
        "Not measured: the loss",
    ):
        assert part in result


def test_colors_are_escape_sequences_and_only_on_demand():
    found = summary(document(findings=[finding()]))
    assert "\x1b" not in text(found)
    assert re.sub(r"\x1b\[[\d;]*m", "", text(found, color=True)) == text(found)


def test_names_cannot_steer_the_terminal():
    result = text(summary(hostile()), 80)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", result)
    result.encode()
