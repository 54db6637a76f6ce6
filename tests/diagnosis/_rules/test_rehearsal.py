"""The rule on the rehearsal of an audit, on curves written by hand."""

import numpy as np
import pytest
from diagnosis._rules.runs import answers

from keras_lecture.diagnosis._rules import rehearsal

pytestmark = pytest.mark.once

STEPS = np.arange(41)


def _answers(losses, schedule=False):
    model = {"optimizer": {"class": "SGD", "schedule": schedule}}
    start = {"rehearsal": {"steps": len(losses) - 1, "losses": list(losses)}, "chance": {"loss": 1.0}}
    return answers(rehearsal, "cannot-fit-one-batch", {"model": model, "start": start})


@pytest.mark.parametrize(
    ("expected", "losses"),
    [
        ([], np.exp(-0.1 * STEPS)),
        ([], 1.0 - 0.002 * STEPS),
        # Dropout: noise hides a fall as small as this.
        ([], 1.0 + 0.2 * np.sin(37.0 * STEPS**2)),
        (["low"], np.full(41, 1.0)),
        # Fitted before: a model that was trained.
        ([], np.full(41, 0.1)),
        (["medium"], 1.0 + 0.05 * STEPS),
        # A first step that is too long, and then a slow return.
        (["medium"], [1.0, *(5.0 - 0.01 * STEPS[:-1])]),
        (["high"], [1.0, 50.0, float("nan")]),
    ],
)
def test_one_batch(expected, losses):
    assert [finding.severity for finding in _answers(losses)[0]] == expected


def test_unknown():
    assert len(_answers(np.full(41, 1.0), schedule=True)[1]) == 1
    assert len(_answers(np.full(5, 1.0))[1]) == 1
    assert len(answers(rehearsal, "cannot-fit-one-batch", {})[1]) == 1
