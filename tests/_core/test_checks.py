"""The common wording of argument errors: owner, argument, expectation, received value, remedy."""

import math

import numpy as np
import pytest

from keras_lecture._core import checks


@pytest.mark.parametrize("value", [-0.1, 1.0, math.nan, math.inf])
def test_the_message_prints_the_interval_that_is_checked(value):
    with pytest.raises(ValueError) as error:
        checks.number("DropConnect", "rate", value, "[0, 1)", "A rate of 1 would drop every weight.")
    assert str(error.value) == (
        f"DropConnect: `rate` must be in [0, 1). Received: rate={value!r}. A rate of 1 would drop every weight."
    )


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.25)])
def test_numbers_of_any_kind_pass(value):
    checks.number("DropConnect", "rate", value, "[0, 1)")


@pytest.mark.parametrize(
    ("check", "value", "expectation"),
    [
        (checks.number, "0.1", "a number in (-∞, ∞)"),
        (checks.number, True, "a number in (-∞, ∞)"),
        (checks.number, None, "a number in (-∞, ∞)"),
        (checks.whole, 1.0, "a whole number in [1, ∞)"),
        (checks.whole, True, "a whole number in [1, ∞)"),
        (checks.boolean, 1, "True or False"),
    ],
)
def test_a_wrong_type_is_a_type_error(check, value, expectation):
    with pytest.raises(TypeError) as error:
        check("Maxout", "pieces", value)
    assert str(error.value) == f"Maxout: `pieces` must be {expectation}. Received: pieces={value!r}."


def test_an_unknown_choice_lists_the_choices_in_order():
    with pytest.raises(
        ValueError, match=r"`mode` must be one of 'fan_avg', 'fan_in', 'fan_out'\. Received: mode='fan'"
    ):
        checks.one_of("Xavier", "mode", "fan", ("fan_in", "fan_out", "fan_avg"))


def test_unhashable_and_foreign_values_are_refused():
    for value in ([], {}, np.zeros(3), 1.0):
        with pytest.raises(ValueError, match="must be one of"):
            checks.one_of("Xavier", "mode", value, ("fan_in", 1, None))


def test_unknown_sizes_match_any_shape():
    checks.same_shape("L2", "y_true", (None, 3), (4, 3))
    with pytest.raises(
        ValueError, match=r"L2: `y_true` must be a tensor of shape \(4, 3\)\. Received: y_true=\(4, 1\)"
    ):
        checks.same_shape("L2", "y_true", (4, 1), (4, 3))
