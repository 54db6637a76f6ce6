"""One look at a path says whether users may import what lies there, and what the file is called says what it holds."""

import inspect
import re

import pytest
from support.house import FILES, PACKAGE
from support.public import public_objects, subpackages

import keras_lecture.figures


def _rooms():
    """The public rooms; the figures are imported on demand."""
    return {**subpackages(), "figures": keras_lecture.figures}


def _held():
    """`{"layers.maxout": ["Maxout", "MaxoutConv2D"], …}`: the public names by the file that defines them."""
    figures = {f"figures.{name}": getattr(keras_lecture.figures, name) for name in keras_lecture.figures.__all__}
    held = {}
    for path, unit in {**public_objects(), **figures}.items():
        held.setdefault(unit.__module__.removeprefix("keras_lecture."), []).append(path.rpartition(".")[2])
    return held


HELD = _held()
DOTTED = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in FILES
    if path.stem not in ("__init__", "__main__")
}


def _is_private(dotted):
    return any(part.startswith("_") for part in dotted.split("."))


def _plain(name):
    """`BatchNormalization` and `batch_normalization` are one name, and so are `Upscale2D` and `upscale`."""
    return re.sub(r"[123]d$", "", name.lower().replace("_", ""))


@pytest.mark.parametrize("dotted", sorted(set(DOTTED) - set(filter(_is_private, DOTTED))))
def test_a_file_without_an_underscore_holds_public_names_and_is_called_after_them(dotted):
    """A file of one public name bears that name; a file of several bears the name of the family."""
    names = HELD.get(dotted, [])
    assert names, f"{dotted} holds nothing public: give it an underscore, or put it into a folder that has one"
    if len(names) == 1:
        assert _plain(dotted.rpartition(".")[2]) == _plain(names[0])


def test_what_is_public_lies_in_no_private_file():
    assert not [dotted for dotted in HELD if _is_private(dotted)]


def test_every_public_name_has_one_path():
    units = [unit for unit in public_objects().values() if not inspect.ismodule(unit)]
    assert len(units) == len(set(units))
