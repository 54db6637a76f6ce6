"""The figures package: examples run, and without matplotlib the error names the package to install."""

import doctest
import importlib
import sys

import keras
import numpy as np
import pytest

import keras_lecture
from keras_lecture import figures


@pytest.mark.parametrize("name", figures.__all__)
def test_examples_run(name):
    (example,) = doctest.DocTestFinder(recurse=False).find(
        getattr(figures, name), name, globs={"keras_lecture": keras_lecture, "keras": keras, "np": np}
    )
    assert example.examples
    out = []
    assert doctest.DocTestRunner().run(example, out=out.append).failed == 0, "".join(out)


def test_without_matplotlib_the_error_names_the_package_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("keras_lecture.figures")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="keras_lecture.figures needs matplotlib: pip install matplotlib"):
        importlib.import_module("keras_lecture.figures")
