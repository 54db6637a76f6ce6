"""A path shows whether a file is public, and the name of a public file says what it contains."""

import inspect
import re

import pytest
from support.house import FILES, PACKAGE
from support.public import public_objects, subpackages, units

import keras_lecture.figures

pytestmark = pytest.mark.once


def _rooms():
    """The public rooms; `figures` is imported on demand."""
    return {**subpackages(), "figures": keras_lecture.figures}


def _held():
    """`{"layers.maxout": ["Maxout", "MaxoutConv2D"], …}`: the public names by the file that defines them."""
    held = {}
    for path, unit in [*public_objects().items(), *units(keras_lecture.figures)]:
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
def test_a_file_without_an_underscore_contains_public_names_and_is_named_after_them(dotted):
    """A file with one public name has this name; a file with several has the name of the family."""
    names = HELD.get(dotted, [])
    assert names, f"{dotted} defines no public name: add an underscore, or move it into a folder that has one"
    if len(names) == 1:
        assert _plain(dotted.rpartition(".")[2]) == _plain(names[0])


def test_private_files_define_no_public_names():
    assert not [dotted for dotted in HELD if _is_private(dotted)]


def test_every_public_object_has_one_name():
    units = [unit for unit in public_objects().values() if not inspect.ismodule(unit)]
    assert len(units) == len(set(units))
