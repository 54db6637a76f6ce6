"""The figures package: examples run, every experiment is drawn, and without matplotlib the error helps."""

import doctest
import importlib
import inspect
import re
import sys

import keras
import numpy as np
import pytest

import keras_lecture
from keras_lecture import figures
from keras_lecture.figures import experiments

DRAWN = {name: unit for name in figures.__all__ if inspect.isfunction(unit := getattr(figures, name))}
RUN = {f"experiments.{name}": getattr(experiments, name) for name in experiments.__all__}
UNITS = DRAWN | RUN


@pytest.mark.parametrize("name", sorted(UNITS))
def test_examples_run(name):
    (example,) = doctest.DocTestFinder(recurse=False).find(
        UNITS[name], name, globs={"keras_lecture": keras_lecture, "keras": keras, "np": np}
    )
    assert example.examples
    out = []
    assert doctest.DocTestRunner().run(example, out=out.append).failed == 0, "".join(out)


@pytest.mark.parametrize("name", experiments.__all__)
def test_every_experiment_has_a_figure_of_the_same_name_and_a_seed(name):
    assert {"data", "theme"} <= set(inspect.signature(DRAWN[name]).parameters)
    seed = inspect.signature(getattr(experiments, name)).parameters["seed"]
    assert seed.kind is inspect.Parameter.KEYWORD_ONLY and seed.default == 0


@pytest.mark.parametrize("name", sorted(UNITS))
def test_documented_arguments_are_those_of_the_signature(name):
    documented = re.search(r"^Args:\n((?:    .*\n|\n)*)", inspect.getdoc(UNITS[name]) + "\n", flags=re.MULTILINE)
    found = re.findall(r"^    (\w+):", documented[1], flags=re.MULTILINE)
    assert found == list(inspect.signature(UNITS[name]).parameters)


def test_without_matplotlib_the_error_names_the_package_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("keras_lecture.figures")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="keras_lecture.figures needs matplotlib: pip install matplotlib"):
        importlib.import_module("keras_lecture.figures")
