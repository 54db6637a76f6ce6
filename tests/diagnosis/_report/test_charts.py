"""The charts of the report: where the names of lines are drawn."""

import re

import pytest

from keras_lecture.diagnosis._report.charts import Scale, Series, chart


@pytest.mark.parametrize(("losses", "below"), [([3.0, 2.1, 2.1], True), ([3.0, 1.5, 0.5], False)])
def test_the_name_of_a_level_is_on_top_of_the_lines_and_beside_their_ends(losses, below):
    """The loss of a run that learns nothing was drawn through the name of the level, above which it stays."""
    points = [(float(step), loss) for step, loss in enumerate(losses)]
    drawn = chart("loss", "", "", [Series("training loss", "train", points)], Scale(0, 2), level=(2.0, "a constant"))
    (line,) = re.findall(r'class="level"[^>]* y1="([\d.]+)"', drawn)
    (name,) = re.findall(r'y="([\d.]+)"[^>]*>a constant<', drawn)
    assert (float(name) > float(line)) == below
    assert drawn.index("a constant<") > drawn.index('class="line train"')
