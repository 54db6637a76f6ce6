"""Two runs side by side: where they part first, by the stated criteria."""

import pytest
from diagnosis._report.documents import broken, document, finding, layers

from keras_lecture.diagnosis._report.compare import comparison, differs, first_layer, first_loss, parting

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("a", "b", "is_different"),
    [(1.0, 1.04, False), (1.0, 1.06, True), (-1.0, 1.0, True), (0.0, 0.0, False), (0.0, 1e-9, True)]
    + [(float("nan"), 1.0, True), (float("nan"), float("inf"), False), (1.06, 1.0, True), (-1.0, -1.2, True)],
)
def test_numbers_differ_by_their_ratio(a, b, is_different):
    assert differs(a, b, 1.05) == is_different


def test_equal_runs_do_not_part():
    assert parting(document(), document()).startswith("The runs do not part")


def test_losses_part_at_the_first_step_with_another_loss():
    other = document(loss=lambda step: 2.0 / (1 + step / 50) * (1.1 if step >= 33 else 1.01))
    assert first_loss(document(), other)[0] == 33
    assert parting(document(), other).startswith("The training losses part at step 33: ")


def test_losses_part_where_one_stops_being_a_number():
    assert first_loss(document(loss=lambda step: 2.0), broken(45))[0] == 45


@pytest.mark.parametrize(("key", "word"), [("std", "spread"), ("gradient", "gradient")])
def test_layers_part_at_the_first_probe_and_there_in_the_first_layer(key, word):
    other = document()
    for probe in other["probes"][2:]:
        probe["layers"] = layers(3, **{key: lambda index: 3.0 if index else {"std": 1.0, "gradient": 0.1}[key]})
    assert first_layer(document(), other)[:3] == (40, "dense_1", word)
    assert f"at step 40, first dense_1: its {word} is" in parting(document(), other)


def test_layers_with_other_names_are_compared_by_their_order():
    other = document(names=["x", "y", "z"], std=lambda index: 1.0 + 4 * (index == 2))
    assert first_layer(document(), other)[:3] == (0, "dense_2", "spread")


def test_different_numbers_of_layers_are_said():
    assert "3 and 5 of them were measured" in parting(document(3), document(5))


def test_the_section_has_both_verdicts_both_lines_and_both_lists_of_findings():
    sick = document(findings=[finding(rule="overfit", severity="medium")])
    section = comparison(document(findings=[finding()]), sick)
    assert section.count('<path class="line') == 4  # two lines and their legend
    for part in (
        "This run does not work",
        "This run works worse",
        "1. dead-relu",
        "1. overfit",
        "First run",
        "Second run",
    ):
        assert part in section
