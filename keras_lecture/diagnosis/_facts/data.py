"""Facts about the training data, the validation data, and what a simple method learns from them: NumPy only.

Missing keys and `None` mean that a fact was not or could not be measured; `unseen` says which and why.

    rows             number of samples seen, and
    whole            whether these are all; `False` for one batch of a generator
    inputs           a list, one entry per input array:
        name             "x", "x[0]" or "x['image']"
        shape, dtype     of one sample; the name of the data type
        kind             "numbers", "tokens" (whole numbers ≥ 0 without a channel axis), "strings" or "objects"
        nonfinite        share of the sampled rows with a value that is not finite
        rms, mean, std   of all values;
        smallest, largest
        whole            whether all values are whole numbers
        features         number of values of one sample
        feature_std_smallest, feature_std_largest    over the features that are not constant
        offset           median over these features of |mean| / std
        spread           largest range of these features / their lower quartile
        constant         number of features with one value in all rows
    targets          a list, one entry per target array:
        name, shape, dtype, rows, nonfinite, rms, mean, std, smallest, largest, whole    as above
        kind             "classes" (class numbers), "one-hot", "multi-hot" (several labels per row), "probabilities",
                         "numbers", "strings" or "objects"
        units            units of its output, if known
        negative, above_one, below_minus_one     shares of the values
        distinct         number of different values, or of classes for one-hot rows
        counts           [[class, count], …], the 64 most frequent; classes only
        commonest, rarest                        shares of these classes
        order            of classes: {"changes": share of consecutive rows of different classes, "expected": under
                         random order, "z": standard deviations between them, "purity": mean over batches in this
                         order of the share of the batch's commonest class, "expected_purity": under random order}
        autocorrelation  of numbers: lag 1, over consecutive rows
    validation       None, or see `validation.py`
    baseline         None, or see `baseline.py`
    weights          None, or {"negative", "zero": shares of the sample weights, "nonfinite"}
    unseen           sentences
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lecture.diagnosis._facts.arrays import leaves, rows_within, sample
from keras_lecture.diagnosis._facts.baseline import baseline_facts
from keras_lecture.diagnosis._facts.inputs import input_facts
from keras_lecture.diagnosis._facts.targets import target_facts
from keras_lecture.diagnosis._facts.validation import validation_facts


def data_facts(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    validation_data: Any = None,
    *,
    batch_size: int | None = 32,
    shuffle: bool | None = True,
    family: Sequence[str] = (),
    units: Sequence[int] = (),
    seed: int = 0,
    whole: bool = True,
) -> dict[str, Any]:
    """Plain numbers about the data of a training run; never raises for odd data.

    `family` are the families of the losses and `units` the sizes of the outputs, one for each target; with them,
    whole numbers are told to be classes or not. At most 20,000 rows and 64 MB are looked at.
    """
    unseen: list[str] = []
    inputs = _attempt(leaves, unseen, "the inputs", x, "x") or {}
    targets = _attempt(leaves, unseen, "the targets", y, "y") or {}
    counts = [len(array) for array in [*inputs.values(), *targets.values()]]
    facts = {"rows": counts[0] if counts else 0, "whole": whole, "shuffle": shuffle}
    if len(set(counts)) > 1:
        unseen.append(
            f"the arrays have different numbers of rows, {sorted(set(counts))}: they were looked at one by one"
        )
    facts["inputs"] = _each(input_facts, unseen, inputs)
    context = {name: (_at(family, i), _at(units, i)) for i, name in enumerate(targets)}
    facts["targets"] = [
        _attempt(target_facts, unseen, name, name, array, *context[name], batch_size) or {"name": name}
        for name, array in targets.items()
    ]
    weights = _attempt(leaves, unseen, "the sample weights", sample_weight, "sample_weight") or {}
    facts["weights"] = _attempt(_weights, unseen, "the sample weights", weights) if weights else None
    kinds = [entry.get("kind") for entry in facts["targets"]]
    held_out = (inputs, targets, kinds, validation_data, seed)
    facts["validation"] = _attempt(validation_facts, unseen, "the validation data", *held_out)
    tokens = any(entry.get("kind") != "numbers" for entry in facts["inputs"])
    fit = (inputs, targets, kinds, tokens, seed)
    facts["baseline"] = _attempt(baseline_facts, unseen, "what a simple method learns", *fit) if inputs else None
    if any(len(array) > rows_within(array) for array in inputs.values()):
        unseen.append("of large arrays, a sample of the rows was looked at")
    return facts | {"unseen": unseen}


def _weights(weights):
    values = np.concatenate([sample(array).reshape(-1).astype("float64") for array in weights.values()])
    return {
        "negative": float(np.mean(values < 0)),
        "zero": float(np.mean(values == 0)),
        "nonfinite": float(np.mean(~np.isfinite(values))),
    }


def _each(function, unseen, arrays):
    return [_attempt(function, unseen, name, name, array) or {"name": name} for name, array in arrays.items()]


def _at(values, index):
    return values[index] if index < len(values) else None


def _attempt(function, unseen, subject, *args):
    """The result, or `None` and a sentence: facts about odd data are left out, and never stop a run."""
    try:
        return function(*args)
    except Exception as error:
        unseen.append(f"{subject} could not be measured: {type(error).__name__}: {error}")
        return None
