"""The learning curves show the given numbers: checked on the artists, not on pixels."""

import numpy as np
import pytest

from keras_lecture.figures import learning_curves

HISTORY = {
    "loss": [2.0, 1.0, 0.5],
    "val_loss": [2.1, 1.2, 0.9],
    "accuracy": [0.2, 0.5, 0.8],
    "gradient_norm": [40.0, 2.0, 1.0],
    "weight_norm": [1.0, 1.0, 1.0],
}


def test_every_measured_quantity_has_a_panel_with_its_numbers():
    figure = learning_curves({"history": HISTORY})
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy", "gradient norm ‖g‖"]
    loss, accuracy, norm = figure.axes
    drawn = {line.get_label(): line for line in loss.get_lines()}
    assert set(drawn) == {"training", "validation"}
    assert drawn["training"].get_xdata().tolist() == [1, 2, 3]
    assert drawn["training"].get_ydata().tolist() == HISTORY["loss"]
    assert drawn["validation"].get_ydata().tolist() == HISTORY["val_loss"]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert len(accuracy.get_lines()) == 1 and accuracy.get_legend() is None
    assert norm.get_lines()[0].get_ydata().tolist() == HISTORY["gradient_norm"]
    assert (loss.get_yscale(), norm.get_yscale()) == ("linear", "log")


def test_the_scale_is_linear_if_a_gradient_norm_is_zero():
    figure = learning_curves({"history": {"loss": [1.0, 1.0], "gradient_norm": [1.0, 0.0]}})
    assert figure.axes[1].get_yscale() == "linear"


def test_a_non_finite_value_is_a_gap_in_the_curve():
    (axes,) = learning_curves({"history": {"loss": [1.0, None, 3.0]}}).axes
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), [1.0, np.nan, 3.0])


def test_ticks_are_whole_epochs():
    (axes,) = learning_curves({"history": {"loss": [1.0, 2.0]}}).axes
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


@pytest.mark.parametrize("record", [{}, {"history": {}}, {"history": {"val_loss": [1.0]}}, None, [1.0]])
def test_a_record_without_a_loss_is_rejected(record):
    with pytest.raises(ValueError, match="learning_curves: `record` must be a mapping with a `history`"):
        learning_curves(record)
