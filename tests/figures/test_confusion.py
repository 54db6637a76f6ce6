"""The confusion matrix figure: checked on the artists, not on pixels."""

import numpy as np
import pytest

from keras_lecture.figures import confusion

MATRIX = np.array([[8, 2, 0], [0, 5, 0], [1, 0, 0]])


def test_every_nonzero_count_is_written_in_its_cell():
    (axes,) = confusion(MATRIX, ["a", "b", "c"]).axes
    written = {(round(t.get_position()[1]), round(t.get_position()[0])): int(t.get_text()) for t in axes.texts}
    assert written == {(0, 0): 8, (0, 1): 2, (1, 1): 5, (2, 0): 1}
    assert axes.get_title(loc="left") == "13 of 16 right"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


def test_the_diagonal_is_blue_errors_are_red_and_zeros_are_white():
    (axes,) = confusion(MATRIX).axes
    red, green, blue = np.moveaxis(axes.images[0].get_array(), -1, 0)
    assert blue[1, 1] > red[1, 1]
    assert red[2, 0] > blue[2, 0]
    assert (red[1, 0], green[1, 0], blue[1, 0]) == (1.0, 1.0, 1.0)
    # The shade is the share of the row: one of one is darker than two of ten.
    assert green[2, 0] < green[0, 1] < 1.0


def test_whole_numbers_of_a_float_dtype_are_counts():
    (axes,) = confusion(MATRIX.astype("float32")).axes
    assert {text.get_text() for text in axes.texts} == {"8", "2", "5", "1"}


def test_the_row_of_a_class_without_samples_is_white():
    (axes,) = confusion([[0, 0], [1, 3]]).axes
    assert np.all(axes.images[0].get_array()[0] == 1.0)


@pytest.mark.parametrize(
    ("matrix", "names", "argument"),
    [
        ([[1, 2]], None, "matrix"),
        ([1, 2], None, "matrix"),
        (np.zeros((0, 0)), None, "matrix"),
        ([[1, 0], [0, 1]], ["a"], "names"),
        ([[0.5, 0.5], [0.0, 1.0]], None, "matrix"),
        ([[1, -1], [0, 1]], None, "matrix"),
        ([[1, float("nan")], [0, 1]], None, "matrix"),
        ([["1", "0"], ["0", "1"]], None, "matrix"),
    ],
)
def test_rejects(matrix, names, argument):
    with pytest.raises(ValueError, match=f"confusion: `{argument}` must be "):
        confusion(matrix, names)
