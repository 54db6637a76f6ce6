"""The figure of a learning-rate sweep shows its losses and suggestions: checked on the artists, not on pixels."""

import numpy as np
import pytest

from keras_lecture.callbacks._rates.learning_rate_sweep import LearningRateSweep
from keras_lecture.figures import learning_rate_sweep

RATES = np.logspace(-4, 1, 6)
SMOOTHED = np.array([2.0, 1.9, 1.0, 0.5, 0.7, 40.0])


def sweep(losses=SMOOTHED, curvature=None):
    return LearningRateSweep(RATES, np.asarray(losses), SMOOTHED, "explosion", 0, curvature)


def test_both_curves_and_all_available_suggestions_are_drawn():
    given = sweep(losses=SMOOTHED + 0.1, curvature=0.25)
    (axes,) = learning_rate_sweep(given).axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_array_equal(lines["loss of each batch"].get_ydata(), SMOOTHED + 0.1)
    np.testing.assert_array_equal(lines["smoothed"].get_xdata(), RATES)
    drawn = {label.partition(":")[0]: lines[label].get_xdata()[0] for label in list(lines)[2:]}
    assert drawn == {name: given.suggestion(name) for name in ("curvature", "steepest", "valley")}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(lines)
    (axes,) = learning_rate_sweep(sweep()).axes
    assert not [line for line in axes.get_lines() if line.get_label().startswith("curvature")]


def test_the_explosion_does_not_flatten_the_rest_of_the_curve():
    low, high = learning_rate_sweep(sweep()).axes[0].get_ylim()
    assert low < 0.5 and 2.0 < high < 5.0


def test_the_loss_axis_is_finite_with_infinite_losses():
    (axes,) = learning_rate_sweep(sweep(losses=[2.0, 1.9, 1.0, 0.5, 0.7, np.inf])).axes
    assert np.isfinite(axes.get_ylim()).all()


def test_rejects_anything_but_a_sweep():
    with pytest.raises(TypeError, match="learning_rate_sweep: `sweep` must be a `LearningRateSweep`"):
        learning_rate_sweep([1.0, 2.0])
