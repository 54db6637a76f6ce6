"""Registration with Keras, so that saved models load without `custom_objects`."""

from typing import Any, TypeVar

import keras

T = TypeVar("T")


def register(target: T) -> T:
    """Registers `target` for Keras serialization as `keras_lecture>subpackage.Name`.

    The subpackage is part of the name because `losses.L1` and `regularizers.L1` would otherwise share one entry, and
    Keras would load the one registered last. The file is not, so that code can move within its subpackage.

    Any `.keras` file can construct a registered class with any arguments. So no class is registered that takes a path
    or holds data, and an argument that is a number of objects to make has a bound.
    """
    subpackage = target.__module__.split(".")[1]
    return keras.saving.register_keras_serializable("keras_lecture", f"{subpackage}.{target.__name__}")(target)


def plain(config: Any) -> Any:
    """A config with lists and dicts of Python's own.

    Keras turns those that are attributes of a layer into lists of the layer's parts, which hold the layer itself.
    """
    if isinstance(config, dict):
        return {name: plain(part) for name, part in config.items()}
    return [plain(part) for part in config] if isinstance(config, list) else config
