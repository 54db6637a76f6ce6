"""The code of every cure runs as it is written, on a small model with data.

Oracle: Python and Keras accept it, a layer can be applied, a model that was compiled takes a step with a finite loss.
"""

import ast
import importlib
import pkgutil
import types

import keras
import pytest
from diagnosis._rules.records import kernel
from support import snippets

from keras_lecture.diagnosis import _rules
from keras_lecture.diagnosis._rules import RULES
from keras_lecture.diagnosis._rules.layer_code import adapted, layer_code

# Local names in the code that findings compose themselves.
STUBS = {
    "head": types.SimpleNamespace(units=3, layer="output"),
    "entry": {"units": 8, "rows": 4},
    "largest": 9.0,
    "start": 0.1,
    "state": types.SimpleNamespace(steps=100),
    "loss": "sparse_categorical_crossentropy",
    "name": "SparseCategoricalCrossentropy",
    "initializer": "HeNormal",
}
# Cures of regressions, and of one that changes a global setting.
NUMBERS = "(y - mean)"


def own():
    """The code of each rule by its id."""
    return {(name, rule.code): rule.code for name, variants in RULES.items() for rule in variants}


def composed():
    """All code in the source of the rules: strings that Python can parse and in which something is called."""
    found = {}
    for module in pkgutil.iter_modules(_rules.__path__):
        if module.name == "layer_code":
            # Tested below: its code depends on the class of the layer.
            continue
        unit = importlib.import_module(f"{_rules.__name__}.{module.name}")
        with open(unit.__file__, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for text in strings(tree):
            code = eval(compile(ast.Expression(text), "<code>", "eval"), {**vars(unit), **STUBS})
            found[module.name, code] = code
    return found


def strings(tree):
    """The nodes of all strings that are code; a formatted value counts as a name."""
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inside = {part for node in formatted for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node] if node not in inside else []
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
        if isinstance(node, ast.JoinedStr | ast.Constant) and is_code(text):
            yield node


def is_code(text):
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return "keras" in text and any(isinstance(node, ast.Call) for node in ast.walk(tree))


CODES = sorted({code for code in (*own().values(), *composed().values())})


@pytest.mark.parametrize("code", CODES, ids=range(len(CODES)))
def test_code_runs_as_written(code):
    assert "…" not in ast.unparse(ast.parse(code))
    policy = keras.config.dtype_policy()
    try:
        snippets.run(code, snippets.names(is_regression=NUMBERS in code or "lambda" in code))
    finally:
        keras.config.set_dtype_policy(policy)


def test_code_that_findings_compose_is_found():
    """Otherwise the test above would say nothing about it."""
    codes = composed().values()
    assert "keras.layers.Embedding(10, 8)" in codes
    assert 'keras.layers.Dense(3, activation="sigmoid")' in codes
    assert "keras.layers.Dense(3)  # with from_logits=True in the loss" in codes


@pytest.mark.parametrize("code", ["model.fit(x, labels)", "keras.layers.Conv2D(3)", "keras.layers.Dense(-1)(hidden)"])
def test_code_that_cannot_run_fails(code):
    with pytest.raises((NameError, TypeError, ValueError)):
        snippets.run(code, snippets.names())


def test_a_finding_gets_code_for_its_own_layer():
    """A page told the readers to replace a convolution of 16 filters by `Dense(64)`, and dropped the activation."""
    rule = RULES["dead-relu"][0]
    layers = [{"name": "a", "class": "Conv2D", "units": 16, "activation": "relu", "weights": [kernel((3, 3, 8, 16))]}]
    layers.append({"name": "b", "class": "Dense", "units": 32, "activation": "tanh", "weights": [kernel((16, 32))]})
    layers.append({"name": "c", "class": "LSTM", "units": 8, "activation": "tanh", "weights": [kernel((6, 32))]})
    record = {"model": {"layers": layers}}
    code = {name: adapted(rule.found("", {}, layer=name), record).code for name in ("a", "c", None)}
    assert code["a"].startswith('keras.layers.Conv2D(16, 3, activation="leaky_relu", ')
    assert code["c"] == code[None] == rule.code
    equal = RULES["symmetric-units"][0]
    code = adapted(
        equal.found("", {}, layer="b", code='keras.layers.Dense(64, kernel_initializer="he_normal")'), record
    )
    # The name is the user's, who may have set a loss by it.
    assert code.code == 'keras.layers.Dense(32, activation="tanh", kernel_initializer="he_normal", name="b")'


@pytest.mark.parametrize(("entering", "expected"), [([8, 8, 3], True), ([10, 10, 3], False), (None, False)])
def test_code_of_a_convolution_keeps_its_padding(entering, expected):
    """A page's code had none: the network behind it got a quarter of the features, without an error."""
    layer = {"class": "Conv2D", "units": 4, "shape": [8, 8, 4], "weights": [kernel((3, 3, 3, 4))]}
    code = layer_code(layer, "use_bias=False", entering)
    assert ('padding="same"' in code) == expected


@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [
        ("Dense", (6, 4), "keras.layers.Dense(4, use_bias=False)"),
        ("Conv1D", (3, 2, 4), "keras.layers.Conv1D(4, 3, use_bias=False)"),
        ("Conv2D", (3, 3, 2, 4), "keras.layers.Conv2D(4, 3, use_bias=False)"),
        ("Conv2D", (1, 3, 2, 4), "keras.layers.Conv2D(4, (1, 3), use_bias=False)"),
        ("EinsumDense", (6, 4), None),
        ("Own", (6, 4), None),
    ],
)
def test_code_of_a_layer_in_a_record(kind, shape, expected):
    """By hand: a convolution needs its kernel size; of other classes the arguments are not known."""
    code = layer_code({"class": kind, "units": 4, "weights": [kernel(shape)]}, "use_bias=False")
    assert code == expected
    if code:
        snippets.run(code, snippets.names())
