"""A few hostile configs of every registered class; `make test-hostile` has 200 and more of each, and whole files."""

import pickle
import socket
import subprocess
import sys

import keras
import pytest
from support.hostile_configs import LAMBDA, MARK, attack, healthy, hostile, registered
from support.watched_calls import Violation, watched

NAMES = sorted(registered())


def test_hostile_configs_do_nothing_but_fail_or_build():
    """Three of each class."""
    others = [healthy(name) for name in NAMES]
    for name in NAMES:
        for config in hostile(name, 3, others=others):
            with attack(seconds=4.0):
                keras.saving.deserialize_keras_object(config, safe_mode=True)


def test_a_healthy_config_of_every_class_passes_the_watch():
    """Otherwise a hostile one would never reach the constructor."""
    for name in NAMES:
        with watched(mark=MARK, seconds=4.0):
            assert isinstance(keras.saving.deserialize_keras_object(healthy(name)), registered()[name])


@pytest.mark.parametrize(
    ("name", "argument", "size"),
    [
        ("layers.DenseBlock", "layers", 257),
        ("layers.Maxout", "pieces", 257),
        ("layers.MaxoutConv2D", "pieces", 257),
        ("layers.PieceInitializer", "pieces", 257),
        ("layers.AtrousSpatialPyramidPooling", "rates", [1] * 65),
    ],
)
def test_an_argument_that_is_a_number_of_objects_has_a_bound(name, argument, size):
    """A config of 100 bytes made 10⁵ layers or draws: minutes of work before the first error."""
    config = healthy(name)
    config["config"][argument] = size
    with pytest.raises((TypeError, ValueError), match=f"`{argument}` must be"):
        keras.saving.deserialize_keras_object(config)


def _module(folder):
    (folder / f"{MARK}_module.py").write_text("")
    sys.path.insert(0, str(folder))
    try:
        __import__(f"{MARK}_module")
    finally:
        sys.path.remove(str(folder))


DONE = {
    "open of": lambda folder: (folder / "file").write_text(""),
    "socket": lambda folder: socket.socket().close(),
    "subprocess": lambda folder: subprocess.run([sys.executable, "-c", ""]),
    "import of": _module,
    "exec of": lambda folder: exec(f"{MARK} = 1"),
    "pickle.find_class": lambda folder: pickle.loads(pickle.dumps(Violation)),
    "more memory": lambda folder: bytearray(b"x") * (150 * 2**20),
    "processor time": lambda folder: sum(range(3 * 10**7)),
}


@pytest.mark.parametrize("what", sorted(DONE))
def test_the_watch_sees(what, tmp_path):
    """Each forbidden act, done on purpose."""
    with pytest.raises(Violation, match=what), watched(mark=MARK, seconds=0.3):
        kept = DONE[what](tmp_path)
        del kept


def test_the_hostile_code_is_live():
    """With the safe mode off Keras unmarshals it, and the watch sees it."""
    with pytest.raises(Violation, match="marshal.loads"), watched(mark=MARK):
        keras.saving.deserialize_keras_object(LAMBDA, safe_mode=False)
