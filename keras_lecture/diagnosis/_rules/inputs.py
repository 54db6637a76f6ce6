"""Rules about the input arrays: values that are not finite, scale, offset, data type."""

from typing import Any

from keras_lecture.diagnosis._rules.causes import has_nonfinite_data
from keras_lecture.diagnosis._rules.harm import (
    is_nonfinite,
    is_stuck,
    layers,
    percent,
    start_against_chance,
    steps_of,
    value,
)
from keras_lecture.diagnosis._rules.rule import Rule

# Beyond this root mean square, He- and Glorot-initialized layers begin with signals far from unit variance.
LARGE, SMALL = 5.0, 0.02
SPREAD = 50.0
OFFSET = 3.0
NORMALIZE = (
    "normalize = keras.layers.Normalization()\nnormalize.adapt(x)\n"
    "# A new model with new weights: compile it as the present one.\n"
    "model = keras.Sequential([normalize, keras.models.clone_model(model)])"
)
_OF_SEVERAL = (
    "# For each input that is not scaled, in a new model, between it and the layers behind it.\n"
    "# `diagnosis.prescribe(model, doctor.findings)` builds this model.\n"
    "normalize = keras.layers.Normalization()\n"
    'normalize.adapt(x[0])  # or x["name"]'
)


def normalizing_code(record: dict[str, Any]) -> str:
    """The code that puts a normalization behind the inputs; of several inputs each has its own."""
    return _OF_SEVERAL if len((record.get("data") or {}).get("inputs") or []) > 1 else NORMALIZE


def nonfinite_data(rule: Rule, record: dict[str, Any]):
    """NaN or infinite inputs, targets or sample weights."""
    data = record.get("data") or {}
    loss = value(record, "start", "loss")
    held_out = data.get("validation") or {}
    weights = {"name": "sample_weight"} | (data.get("weights") or {})
    entries = [*(data.get("inputs") or []), *(data.get("targets") or []), weights]
    for entry in [*entries, {"name": "validation x"} | held_out]:
        share = entry.get("nonfinite")
        if not share:
            continue
        # A model may replace missing values itself: then the loss of a batch that must contain some is finite.
        replaced = share > 0.3 and loss is not None and not is_nonfinite(record)
        severity = "low" if replaced else "medium" if entry["name"].startswith("validation") else "high"
        yield rule.found(
            f"{entry['name']} contains NaN or infinite values.",
            {"rows with such a value": f"{percent(share)} (healthy: 0)"},
            severity=severity,
            confidence=0.99,
            cure=f"Replace these values of {entry['name']}, or leave the rows out.",
        )


def unscaled_input(rule: Rule, record: dict[str, Any]):
    """Values that enter the first layers are far from unit scale, or features differ much in scale."""
    rows = (record.get("start") or {}).get("first_inputs")
    if not rows:
        yield rule.unknown("the inputs of the first layers with a kernel were not measured", "a probe batch")
        return
    for row in rows:
        rms, high, offset = (value(row, key) for key in ("rms", "feature_std_largest", "offset"))
        # Values that are not finite have no scale, and a rule of their own.
        if rms is None or not high or has_nonfinite_data(record):
            continue
        # A large offset with a moderate spread is the subject of `uncentered-input`.
        scale = high if (offset or 0.0) > OFFSET and high < LARGE < rms else rms
        spread = _spread(record, row)
        if SMALL < scale < LARGE and spread < SPREAD:
            continue
        cause = f"The values that enter {row['layer']} have a root mean square of {rms:.3g} instead of about 1."
        if SMALL < scale < LARGE:
            cause = f"The features that enter {row['layer']} differ {spread:.0f}-fold in their range."
        yield rule.found(
            cause,
            {
                "root mean square": f"{rms:.3g} (healthy: {SMALL:g} to {LARGE:g})",
                "ranges of features": f"{spread:.3g} : 1 (healthy: below {SPREAD:g})",
            },
            severity=_severity(record, scale > 10, scale > 10 or scale < 0.01 or spread > 1000),
            layer=row["layer"],
            steps=steps_of(record),
            code=normalizing_code(record),
        )


def _spread(record, row):
    """The largest range of a feature against the lower quartile, if no layer before the first kernel has removed it.

    Ranges, because a pixel that is rarely lit has a small standard deviation but the range of all others.
    """
    low, high = value(row, "feature_std_smallest"), value(row, "feature_std_largest")
    entering = high / low if low and high else 1.0
    raw = [value(entry, "spread") or 1.0 for entry in (record.get("data") or {}).get("inputs") or []]
    return min(entering, max(raw, default=1.0))


def _severity(record, is_large, is_extreme):
    """Medium with harm at the start or after some epochs, high if large values break the run or leave it at chance."""
    ratio, stuck = start_against_chance(record), is_stuck(record)
    if is_extreme and (is_nonfinite(record) or stuck):
        return "high" if is_large and (ratio is None or ratio > 3) else "medium"
    return "medium" if is_large and stuck is None and ratio is not None and ratio > 5 else "low"


def uncentered_input(rule: Rule, record: dict[str, Any]):
    """The mean of the features is large against their spread."""
    rows = (record.get("start") or {}).get("first_inputs")
    if not rows:
        yield rule.unknown("the inputs of the first layers with a kernel were not measured", "a probe batch")
        return
    for row in rows:
        offset = value(row, "offset")
        if offset is None or offset <= 1.5:
            continue
        large = offset > OFFSET and (value(row, "rms") or 0.0) > 1.0
        ratio = start_against_chance(record)
        stuck = is_stuck(record)
        harm = stuck or is_nonfinite(record) or (stuck is None and ratio is not None and ratio > 5)
        yield rule.found(
            f"The features that enter {row['layer']} have a mean of {offset:.3g} standard deviations (median).",
            {"|mean| / standard deviation": f"{offset:.3g} (healthy: below 1.5)"},
            severity="medium" if large and harm and (value(row, "feature_std_largest") or 0.0) < LARGE else "low",
            layer=row["layer"],
            steps=steps_of(record),
            code=normalizing_code(record),
        )


def constant_input(rule: Rule, record: dict[str, Any]):
    """Features with the same value in all rows."""
    for entry in (record.get("data") or {}).get("inputs") or []:
        constant, features = entry.get("constant"), entry.get("features")
        if not constant or not features or entry.get("kind") != "numbers":
            continue
        every = constant == features
        # The borders of images are constant in many data sets, and these are often flattened.
        if not every and (len(entry.get("shape", ())) > 1 or entry.get("smallest") == 0):
            continue
        others = len((record.get("data") or {}).get("inputs") or []) > 1
        yield rule.found(
            f"{'All' if every else constant} of the {features} features of {entry['name']} are the same in every row.",
            {"constant features": f"{constant} of {features} (healthy: 0)"},
            severity="low" if not every or others else "high",
        )


def input_dtype(rule: Rule, record: dict[str, Any]):
    """Strings or objects, whole numbers into a layer with a kernel, token numbers beyond an embedding."""
    inputs = (record.get("data") or {}).get("inputs") or []
    embeddings = [layer for layer in layers(record) if layer.get("class") == "Embedding"]
    classes = {layer.get("class") for layer in layers(record)}
    for entry in inputs:
        evidence = {"data type": f"{entry.get('dtype')} (healthy: floating point, or whole numbers for an embedding)"}
        if entry.get("kind") in ("strings", "objects") and not classes & {"TextVectorization", "StringLookup"}:
            cause = f"{entry['name']} contains {entry['kind']}, which no layer with weights can read."
            yield rule.found(cause, evidence, confidence=0.99)
        elif (
            entry.get("kind") == "numbers" and str(entry.get("dtype")).lstrip("u").startswith("int") and not embeddings
        ):
            cause = f"{entry['name']} has the data type {entry['dtype']}: an input of whole numbers is rarely scaled."
            yield rule.found(cause, evidence, severity="low", confidence=0.5)
    yield from _out_of_range(rule, record)


def _out_of_range(rule, record):
    """Token numbers beyond an embedding: as it receives them or, where the forward pass failed, as they are in x."""
    received = (record.get("start") or {}).get("embeddings")
    for entry in _in_data(record) if received is None else received:
        rows, smallest, largest = entry["rows"], entry["smallest"], entry["largest"]
        if largest >= rows or smallest < 0:
            yield rule.found(
                f"{entry['layer']} receives token numbers outside of its {rows} rows.",
                {"token numbers": f"{smallest:.0f} to {largest:.0f} (healthy: 0 to {rows - 1})"},
                layer=entry["layer"],
                confidence=0.95,
                cure="Give the embedding one row for each token number.",
                code=f"keras.layers.Embedding({int(largest) + 1}, {entry['units']})",
            )


def _in_data(record):
    """The only input of the model, as received by the embeddings that it feeds."""
    inputs = (record.get("data") or {}).get("inputs") or []
    for layer in layers(record) if len(inputs) == 1 else ():
        sizes = [weight["shape"][0] for weight in layer.get("weights") or () if weight.get("shape")]
        ends = [value(inputs[0], name) for name in ("smallest", "largest")]
        if layer.get("class") == "Embedding" and layer.get("sources") == [""] and sizes and None not in ends:
            name, units = layer["name"], layer.get("units") or 64
            yield {"layer": name, "rows": sizes[0], "units": units, "smallest": ends[0], "largest": ends[1]}


RULES = [
    Rule(
        "non-finite",
        "high",
        "every input, target and sample weight is finite",
        "It counts rows.",
        "never: without arrays there is nothing to count",
        'Deck A ("exploding" in the tuning table)',
        "Replace values that are not finite, or leave the rows out.",
        "keep = np.isfinite(x.reshape(len(x), -1)).all(axis=1)\nx, y = x[keep], y[keep]",
        nonfinite_data,
    ),
    Rule(
        "unscaled-input",
        "medium",
        "0.02 < rms < 5 and largest range of a feature / lower quartile < 50, at the first layers with a kernel",
        "Initializers keep the variance of signals only if the inputs have unit variance: the scale is theirs.",
        "the inputs of the first layers were not measured",
        "Decks A, B, C (zero mean, unit variance)",
        "Standardize the inputs with a normalization layer that is adapted to the training data.",
        NORMALIZE,
        unscaled_input,
    ),
    Rule(
        "uncentered-input",
        "medium",
        "median over features of |mean| / standard deviation < 1.5, at the first layers with a kernel",
        "The mean is compared with the spread of the same feature.",
        "the inputs of the first layers were not measured",
        "Decks A, B, C (subtract the mean of the training data)",
        "Subtract the mean of the training data from every feature.",
        "import keras_lecture\n\ncenter = keras_lecture.layers.ZeroCenter()\ncenter.adapt(x)\n"
        "# A new model with new weights: compile it as the present one.\n"
        "model = keras.Sequential([center, keras.models.clone_model(model)])",
        uncentered_input,
    ),
    Rule(
        "constant-input",
        "high",
        "standard deviation of every feature > 1e-7 · |mean|; tables only, unless all features are constant",
        "The spread is compared with the value of the same feature.",
        "never: without arrays there is nothing to count",
        "Decks A, B, C (unit variance)",
        "Leave out the features that do not vary.",
        "x = x[:, x.std(axis=0) > 0]",
        constant_input,
    ),
    Rule(
        "input-dtype",
        "high",
        "inputs are floating point, or token numbers within the rows of their embedding",
        "It compares data types and row numbers.",
        "never: without arrays there is nothing to compare",
        "Decks A, B, C (preprocessing)",
        "Convert the inputs to numbers of type float32; turn categories into one-hot columns or token numbers.",
        "x = np.asarray(x, dtype='float32')",
        input_dtype,
    ),
]
