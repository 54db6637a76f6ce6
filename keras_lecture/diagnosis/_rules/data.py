"""Rules about the data set: order, balance, the split into training and validation, and whether it can be learned."""

from typing import Any

from keras_lecture.diagnosis._rules import fitting, inputs
from keras_lecture.diagnosis._rules.causes import (
    CLASS_KINDS,
    has_batches_of_one_class,
    is_in_order,
    is_of_one_class,
    shuffles,
)
from keras_lecture.diagnosis._rules.evidence import progress
from keras_lecture.diagnosis._rules.harm import last_probe, percent, steps_of, value
from keras_lecture.diagnosis._rules.rule import Rule

_SCALE = "scale of validation / training inputs"
_NEW = "validation rows of classes without a training row"
# By the first entry of the evidence; those of the rule for other entries.
_CURES = {
    _SCALE: (
        "Prepare both parts by the same code, best by a layer in the model.",
        inputs.NORMALIZE,
    ),
    _NEW: (
        "Put both parts together. Split them at random so that each part has the same share of each class. Then train "
        "a new model.",
        "x, y = np.concatenate([x, x_val]), np.concatenate([y, y_val])\n"
        "(x, y), validation_data, test_data = keras_lecture.data.split(x, y)",
    ),
}


def _data(record):
    return record.get("data") or {}


def unshuffled_batches(rule: Rule, record: dict[str, Any]):
    """Rows sorted by class, or neighbors that resemble each other, in batches that are not shuffled."""
    data, shuffle = _data(record), shuffles(record)
    if shuffle:
        return
    for target in data.get("targets") or []:
        if data.get("whole") is False:
            yield from _first_batch(rule, target, record)
            continue
        order, repeats = target.get("order") or {}, target.get("autocorrelation")
        purity, expected = order.get("purity"), order.get("expected_purity")
        if purity is not None and order["z"] < -6 and purity > expected + 0.2 * (1 - expected):
            # Batches of mostly one class: each step unlearns the other classes.
            sorted_rows = purity > expected + 0.6 * (1 - expected)
            yield rule.found(
                f"The rows are sorted by the classes of {target['name']}, and the batches are not shuffled.",
                {
                    "share of a batch's commonest class": f"{percent(purity)} ({percent(expected)} in random order)",
                    "changes of class between rows": f"{percent(order['changes'])} ({percent(order['expected'])})",
                },
                severity="medium" if sorted_rows and shuffle is False else "low",
                confidence=0.95,
            )
        elif repeats is not None and repeats > 0.5 and target.get("rows", 0) >= 50:
            yield rule.found(
                f"Consecutive rows have similar values of {target['name']}, and the batches are not shuffled.",
                {"correlation of consecutive targets": f"{repeats:.2f} (healthy: below 0.5)"},
                severity="medium" if is_in_order(record) and progress(record).stage != "good" else "low",
                confidence=0.9 if is_in_order(record) else 0.6,
            )


# Code that shuffles rows, by the source of the data.
_SHUFFLED = {
    "tf.data": "dataset = dataset.unbatch().shuffle(10_000).batch(32)",
    None: "import keras_lecture\n\nmodel.fit(keras_lecture.data.Batches(x, y, batch_size=32))",
}


def _first_batch(rule, target, record):
    """A generator shows one batch: with several units, a batch of one class is hardly a random one."""
    if not is_of_one_class(target):
        return
    is_ill, evidence = has_batches_of_one_class(record), {"classes in the batch": "1 (healthy: several)"}
    if is_ill:
        evidence["validation rows of other classes"] = percent(value(record, "data", "validation", "new"))
    yield rule.found(
        f"All {target['rows']} rows that were seen of the first batches have the same class.",
        evidence,
        severity="medium" if is_ill else "low",
        confidence=0.9 if is_ill else 0.6,
        cure="Shuffle the rows before each epoch, before they are put into batches, and train a new model.",
        code=_SHUFFLED.get((record.get("fit") or {}).get("source"), _SHUFFLED[None]),
    )


def unbalanced_batches(rule: Rule, record: dict[str, Any]):
    """One class is far more frequent than another."""
    fit = record.get("fit") or {}
    for target in _data(record).get("targets") or []:
        common, rare = target.get("commonest"), target.get("rarest")
        if target.get("kind") not in CLASS_KINDS or not common or not rare or target.get("distinct", 0) < 2:
            continue
        # Of few rows, differences are chance.
        if common / rare < 4 or target.get("rows", 0) < 50 or len(target.get("shape", ())) > 1 and not _is_flat(target):
            continue
        weighted = fit.get("class_weight") or fit.get("weighted") or bool(_data(record).get("weights"))
        ignored = _predicts_only(record, common) and not weighted
        cause = f"The commonest class of {target['name']} has {common / rare:.0f} times as many rows as the rarest"
        accuracy = value(last_probe(record), "train", "accuracy")
        if accuracy is not None and accuracy - common < 0.01:
            cause += f", and an accuracy of {accuracy:.1%} is no more than what always predicting it gives"
        yield rule.found(
            f"{cause}.",
            {"commonest : rarest class": f"{common / rare:.1f} : 1 (healthy: below 4)"},
            severity="medium" if ignored and common / rare >= 5 else "low",
            confidence=0.8,
            steps=steps_of(record),
        )


def _is_flat(target):
    return target.get("kind") == "one-hot" or target.get("shape") in ([], [1])


def _predicts_only(record, common):
    """Whether the model still predicts the commonest class alone although a simple method does better."""
    probe, baseline = last_probe(record), _data(record).get("baseline") or {}
    accuracy = value(probe, "train", "accuracy")
    better = baseline.get("accuracy") is not None and baseline["accuracy"] > (baseline.get("chance") or 1.0) + 0.02
    late = probe is not None and (value(probe, "epoch") or 0) >= 4
    return bool(late and better and accuracy is not None and abs(accuracy - common) < 0.01)


def shifted_validation(rule: Rule, record: dict[str, Any]):
    """Validation data that do not represent the training data."""
    held_out = _data(record).get("validation")
    # A batch of one class lacks the others, but the training data need not.
    if not held_out or has_batches_of_one_class(record):
        return
    for cause, evidence, severity in _differences(held_out):
        # One batch, perhaps balanced on purpose, does not stand for the training data.
        severity = "low" if _data(record).get("whole") is False else severity
        cure, code = _CURES.get(next(iter(evidence)), (None, None))
        code = inputs.normalizing_code(record) if code is inputs.NORMALIZE else code
        confidence = 0.9 if severity != "low" else 0.6
        yield rule.found(cause, evidence, severity=severity, confidence=confidence, cure=cure, code=code)
        return


def _differences(held_out):
    """The differences, the most serious first: only one is reported, because they come together."""
    new, missing = held_out.get("new") or 0.0, held_out.get("missing") or []
    improbable = [entry for entry in missing if entry[2] < 1e-6]
    scale, p = held_out.get("scale"), held_out.get("input_p")
    if new > 0.05:
        evidence = {_NEW: f"{percent(new)} (healthy: 0)"}
        yield "The validation data contain classes that the training data lack.", evidence, "medium"
    if scale is not None and not 0.2 < scale < 5:
        evidence = {_SCALE: f"{scale:.3g} (healthy: 0.2 to 5)"}
        yield "The validation inputs have another scale than the training inputs.", evidence, "medium"
    if improbable:
        classes = ", ".join(str(entry[0]) for entry in improbable[:5])
        evidence = {"classes without a validation row": f"{classes} (probability by chance {improbable[0][2]:.0e})"}
        yield "The validation data lack classes of the training data.", evidence, "medium"
    shift, label_shift, label_p = (held_out.get(key) for key in ("input_shift", "label_shift", "label_p"))
    if label_p is not None and label_p < 1e-6 and label_shift > 0.1:
        evidence = {"difference of the targets": f"{label_shift:.2f} (probability by chance {label_p:.0e})"}
        limit = 1.0 if held_out.get("label_scale") is not None else 0.3
        # Classes balanced by repeated training rows differ in their shares only, and on purpose.
        grade = _grade(label_shift, limit) if p is not None and p < 1e-6 else "low"
        yield "The validation targets are distributed unlike the training targets.", evidence, grade
    if p is not None and p < 1e-6 and (shift > 0.3 or held_out["input_shift_largest"] > 1):
        evidence = {"shift of a feature, median": f"{shift:.2f} standard deviations (probability by chance {p:.0e})"}
        yield "The validation inputs are distributed unlike the training inputs.", evidence, _grade(shift, 1.0)
    if held_out["rows"] < 25:
        evidence = {"validation rows": f"{held_out['rows']} (healthy: at least 25)"}
        yield "So few validation rows measure the accuracy with an error of 10 % and more.", evidence, "low"
    elif missing:
        evidence = {"classes without a validation row": f"{len(missing)} (healthy: 0)"}
        yield "The validation data lack rare classes.", evidence, "low"


def _grade(shift, limit):
    return "medium" if shift > limit else "low"


def leaked_validation(rule: Rule, record: dict[str, Any]):
    """Validation rows that are training rows."""
    data = _data(record)
    held_out = data.get("validation") or {}
    shared, twins = held_out.get("shared"), held_out.get("twins")
    if shared is None or twins is None:
        return
    rows = held_out["rows"]
    # Data with few different rows contain twins in any split; rows that were repeated are another matter.
    by_chance = 0.0 if held_out.get("copies") else twins
    excess = shared - by_chance
    error = (max(shared * (1 - shared), twins * (1 - twins), 1 / rows) / rows) ** 0.5
    if excess <= max(3 * error, 0.01) or shared * rows < 3:
        return
    tiny = data.get("rows", 0) < 50 or held_out.get("same")
    yield rule.found(
        f"{percent(shared)} of the validation rows are training rows, so that they cannot show overfitting.",
        {"validation rows among the training rows": f"{percent(shared)} (healthy: {percent(by_chance)})"},
        severity="low" if excess < max(0.05, by_chance / 2) or tiny and rows < 50 else "medium",
        confidence=0.95,
    )


def unrelated_labels(rule: Rule, record: dict[str, Any]):
    """Neither nearest neighbors nor ridge regression predict the targets better than on permuted targets."""
    data = _data(record)
    if not data.get("targets"):
        return
    baseline = data.get("baseline")
    if not baseline or baseline.get("p") is None:
        yield rule.unknown("no simple method applies to these inputs", "numeric inputs and at least 20 rows")
        return
    if baseline["rows"] < 100:
        yield rule.unknown(f"{baseline['rows']} rows are too few to tell", "at least 100 rows")
        return
    if baseline["p"] > 0.01:
        yield rule.found(
            "Nearest neighbors and ridge regression cannot predict the targets from the inputs, "
            "as if rows were not paired.",
            {"probability of their skill by chance": f"{baseline['p']:.2g} (healthy: below 0.01)"},
            severity="low",
            confidence=0.6,
        )


RULES = [
    *inputs.RULES,
    *fitting.RULES,
    Rule(
        "unshuffled-batches",
        "medium",
        "share of a batch's commonest class as in random order; correlation of consecutive targets < 0.5",
        "The order of the rows is compared with a random order of the same rows.",
        "never: shuffled batches need no answer, and data that cannot be seen have no order to judge",
        "Deck E (shuffle the data in each epoch)",
        "Shuffle the rows before each epoch.",
        "model.fit(x, y, shuffle=True)  # with tf.data: dataset.shuffle(rows), before batch",
        unshuffled_batches,
    ),
    Rule(
        "unbalanced-batches",
        "medium",
        "commonest / rarest class < 4",
        "It is a ratio of counts.",
        "never: targets without classes have no balance",
        "Deck E (all classes equally represented in batches)",
        "Draw batches with the same number of rows of each class, or weight the classes.",
        "batches = keras_lecture.data.BalancedBatches(x, y, batch_size=32)\nmodel.fit(batches)",
        unbalanced_batches,
    ),
    Rule(
        "bad-split",
        "medium",
        "no class is absent, probability of the difference of means or class shares by chance > 1e-6, at least 25 rows",
        "Differences are in standard deviations of the training data, with their sampling error.",
        "never: without validation data there is no split",
        "Decks A, D (representative split 60/20/20)",
        "Split at random and with the same share of each class in every part.",
        "(x, y), validation_data, test_data = keras_lecture.data.split(x, y)",
        shifted_validation,
    ),
    Rule(
        "leaked-validation",
        "medium",
        "share of validation rows among the training rows ≤ share of training rows with a twin, + 3 standard errors",
        "It is a share of equal rows, compared with the share within the training data.",
        "never: without validation data there is no leak",
        "Decks A, B, D (a held-out set)",
        "Split before rows are repeated or augmented, and keep validation rows out of the training data.",
        "import keras_lecture\n\nx, first = np.unique(x, axis=0, return_index=True)\n"
        "(x, y), validation_data, test_data = keras_lecture.data.split(x, y[first])",
        leaked_validation,
    ),
    Rule(
        "unlearnable-labels",
        "low",
        "p ≤ 0.01 for the skill of nearest neighbors or ridge regression against permuted targets",
        "A p-value by permutation does not depend on any scale.",
        "token inputs, or fewer than 100 rows",
        "Deck A (underfit in the tuning table)",
        "Check that row i of the targets belongs to row i of the inputs, for example that both were shuffled alike.",
        "order = np.random.default_rng(0).permutation(len(x))\nx, y = x[order], y[order]  # one order for both",
        unrelated_labels,
    ),
]
