"""Temporary replacement of attributes of layers, methods included."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

_ABSENT = object()


@contextlib.contextmanager
def replaced(values: Iterable[tuple[Any, str, Any]]) -> Iterator[None]:
    """Replaces attributes, given as `(layer, name, value)`, and restores them, also after an exception.

    The layer's `__setattr__`, which would track a variable or a layer, is bypassed.
    """
    # Keras stores some weights with a leading underscore, behind a property; a method is an attribute of the class.
    found = [(vars(layer), f"_{name}" if f"_{name}" in vars(layer) else name, value) for layer, name, value in values]
    originals = [attributes.get(name, _ABSENT) for attributes, name, _ in found]
    try:
        for attributes, name, value in found:
            attributes[name] = value
        yield
    finally:
        for (attributes, name, _), original in zip(found, originals, strict=True):
            if original is _ABSENT:
                del attributes[name]
            else:
                attributes[name] = original
