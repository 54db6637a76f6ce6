"""Findings about a model and its data before the first training step."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_lecture._core.types import Tensor
from keras_lecture.diagnosis._facts.audited import audited
from keras_lecture.diagnosis._rules import checked, judge
from keras_lecture.diagnosis._rules.rule import Finding


def audit(
    model: keras.Model,
    x: Tensor,
    y: Tensor | None = None,
    sample_weight: Tensor | None = None,
    *,
    validation_data: tuple[Any, ...] | None = None,
    batch_size: int = 32,
    shuffle: bool = True,
    rules: str | Sequence[str] = "default",
) -> list[Finding]:
    """Names contradictions between a compiled model, its loss and its data before training begins.

    Use it before the first `fit` of a new model or data set. It looks at the data (scale, order, balance, split, form
    of the targets), the last activation and the loss, the initialization, and one pass forward and backward on at most
    64 samples; losses are measured on at most 256. Then up to 40 steps of the model's own optimizer on these 64 samples
    show whether it can fit them, in at most 4 seconds; they are taken back. It costs some seconds, most of them for
    compilation.

        findings = ⋃ rule(record),   record = numbers measured before step 0

    A rule that cannot tell is silent here. `callbacks.Doctor` judges by the same rules and by the training itself, so
    that it can tell harmless peculiarities, which are `low` here, from harmful ones. No weight, metric, statistic or
    random state changes. Metrics and optimizer are built afterwards: the first `fit` then draws one random number less,
    and shuffles in another order. What layers count in Python is not restored.

    Args:
        model: A built and compiled Keras model.
        x, y, sample_weight: The training data as for `model.fit`: arrays, or lists or dicts of arrays.
        validation_data: `(x, y)` or `(x, y, sample_weight)` as for `fit`, or `None`. Defaults to `None`.
        batch_size: The number of samples per batch in the `fit` to come. Defaults to `32`.
        shuffle: Whether `fit` will shuffle the rows. Defaults to `True`.
        rules: `"default"`, all rules, or a list of their names. Defaults to `"default"`.

    Returns:
        A list of findings, the most severe first. Each has `rule`, `severity` (`"high"`: the run will not work;
        `"medium"`: it works worse than it could; `"low"`: worth knowing), `confidence`, `layer`, `evidence`, `cause`,
        `cure`, `code` (the cure as Keras code) and `lecture`; `print` shows one line.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("adam", "binary_crossentropy")
        >>> x = np.random.default_rng(0).normal(size=(64, 2))
        >>> finding = keras_lecture.diagnosis.audit(model, x, x[:, 0] > 0)[0]
        >>> finding.severity, finding.rule
        ('high', 'output-loss-mismatch')

    Reference:
        Decks A and C (initialization, losses, activations), E (order and balance of the data). Facts about data come
        from at most 20,000 rows. Whether labels can be learned is asked of nearest neighbors and of ridge regression.
    """
    checked("audit", rules)
    options = {"validation_data": validation_data, "batch_size": batch_size, "shuffle": shuffle}
    options["rehearsal"] = rules == "default" or "cannot-fit-one-batch" in rules
    answers = judge(audited(model, x, y, sample_weight, **options), rules)
    return [answer for answer in answers if isinstance(answer, Finding)]
