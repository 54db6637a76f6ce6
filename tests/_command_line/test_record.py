"""The record is strict JSON: no NumPy numbers, no NaN, no path objects."""

import json
from argparse import Namespace
from pathlib import Path

import keras
import numpy as np

from keras_lecture._command_line.record import plain, record_of, text_of


def test_values_are_converted_to_json_types():
    given = {
        "a": np.float32(0.5),
        "b": [np.int64(3), float("nan")],
        "c": np.array([[1, 2]]),
        "d": Path("x"),
        5: (True,),
    }
    assert plain(given) == {"a": 0.5, "b": [3, None], "c": [[1, 2]], "d": "x", "5": [True]}
    assert plain(np.bool_(True)) is True


def test_record_contains_command_arguments_and_versions():
    arguments = Namespace(command="train", json=True, seed=3, out=Path("runs"))
    record = json.loads(text_of(record_of(arguments, history={"loss": [1.0, np.inf]})))
    assert record["arguments"] == {"seed": 3, "out": "runs"}
    assert (record["command"], record["backend"]) == ("train", keras.backend.backend())
    assert record["versions"]["keras"] == keras.__version__
    assert {"python", "keras_lecture", "numpy"} < set(record["versions"])
    assert record["history"] == {"loss": [1.0, None]}


def test_path_that_is_not_unicode_is_written():
    """A file name that is not valid Unicode has no UTF-8 encoding: writing the record would fail after training."""
    path = b"f\xfc\xff\xc3\xbc".decode(errors="surrogateescape")
    text = text_of(plain({"out": Path(path)}))
    assert text.isascii() and json.loads(text) == {"out": path}
