"""Docstrings are true: examples run, the arguments are those of the signature, the sections are in order."""

import doctest
import inspect
import re

import keras
import numpy as np
import pytest
from support.public import public_classes, public_objects

import keras_lecture

UNITS = {name: unit for name, unit in public_objects().items() if callable(unit)}
SECTIONS = ["Args", "Call arguments", "Returns", "Example", "Reference"]


def sections(unit):
    return re.findall(r"^(\w[\w ]*):$", inspect.getdoc(unit) or "", flags=re.MULTILINE)


@pytest.mark.parametrize("name", sorted(UNITS))
def test_examples_run(name):
    examples = doctest.DocTestFinder(recurse=False).find(
        UNITS[name], name, globs={"keras_lecture": keras_lecture, "keras": keras, "np": np}
    )
    assert examples and examples[0].examples, f"{name} has no example"
    out = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples[0], out=out.append)
    assert result.failed == 0, "".join(out)


@pytest.mark.parametrize("name", sorted(UNITS))
def test_sections_are_in_order(name):
    found = [section for section in sections(UNITS[name]) if section in SECTIONS]
    assert found == sorted(found, key=SECTIONS.index)
    assert "Reference" in found
    first = inspect.getdoc(UNITS[name]).splitlines()[0]
    assert first.endswith("."), f"{name}: the docstring begins with one sentence"


@pytest.mark.parametrize("name", sorted(UNITS))
def test_documented_arguments_are_those_of_the_signature(name):
    unit = UNITS[name]
    body = re.search(r"^Args:\n((?:    .*\n|\n)*)", (inspect.getdoc(unit) or "") + "\n", flags=re.MULTILINE)
    documented = set()
    for names in re.findall(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*):", body[1] if body else "", flags=re.MULTILINE):
        documented |= set(names.replace("*", "").split(", "))
    parameters = inspect.signature(unit.__init__ if inspect.isclass(unit) else unit).parameters
    known = set(parameters) - {"self"}
    # Arguments of Keras's base classes may be documented or not.
    assert documented <= known | {"kwargs", "name", "dtype", "seed", "reduction"}, documented - known
    # The first argument of a plain function may be the tensor of its formula, which needs no entry.
    required = known - {"kwargs", "args"} - (set(list(parameters)[:1]) if inspect.isfunction(unit) else set())
    assert required <= documented, f"{name} does not document {required - documented}"


@pytest.mark.parametrize("name", sorted(public_classes()))
def test_constructor_arguments_after_the_first_are_keyword_only_or_as_in_keras(name):
    cls = public_classes()[name]
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    positional = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    orders = [
        list(inspect.signature(theirs.__init__).parameters)[1:]
        for area in (keras.callbacks, keras.constraints, keras.initializers, keras.layers, keras.optimizers)
        for theirs in vars(area).values()
        if inspect.isclass(theirs)
    ]
    # The arguments of Batches are those of `fit`.
    orders.append(list(inspect.signature(keras.Model.fit).parameters)[1:])
    assert len(positional) <= 1 or any(positional == order[: len(positional)] for order in orders), positional
