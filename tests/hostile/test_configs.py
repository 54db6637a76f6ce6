"""Every registered class with hostile configs: `make test-hostile`.

Each config may raise any error. It must not open, connect, start or run anything, nor import what it names, nor take
more than 2 s of the processor or 100 MB of memory besides the weights that it declares.
"""

import functools
import importlib
import os

import keras
import pytest
from support.hostile_configs import attack, healthy, hostile, registered
from support.hostile_models import healthy_archive, model_config, write
from support.watched_calls import Violation

# Keras imports it where a file holds a `TorchModuleWrapper`, whatever the backend: not under watch.
importlib.import_module("torch")

COUNT = int(os.environ.get("HOSTILE_CONFIGS", "200"))
SEED = int(os.environ.get("HOSTILE_SEED", "0"))
NAMES = sorted(registered())


@functools.cache
def others():
    return [healthy(name) for name in NAMES]


def violations(name, load, prepare=lambda config: None, **allowed):
    """Loads each hostile config under watch; returns what was violated, with the config that did it."""
    found = []
    for index, config in enumerate(hostile(name, COUNT, SEED, others())):
        prepare(config)
        try:
            with attack(**allowed):
                load(config)
        except Violation as violation:
            found.append(f"config {index} of seed {SEED}: {violation}: {config!r:.500}")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_deserialize(name):
    found = violations(name, lambda config: keras.saving.deserialize_keras_object(config, safe_mode=True))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", NAMES)
def test_load_model(name, tmp_path):
    archive, path = healthy_archive(), tmp_path / "model.keras"
    found = violations(
        name,
        lambda config: keras.models.load_model(path, safe_mode=True),
        lambda config: write(path, archive, model_config(archive, name, config)),
        may_open=[path],
    )
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("models.CutTo",)])
def test_a_healthy_part_is_read_where_the_hostile_one_is(name):
    """Otherwise `load_model` would fail before it reaches the hostile part. `CutTo` takes two inputs."""
    config = model_config(healthy_archive(), name, healthy(name))
    found = keras.saving.deserialize_keras_object(config, safe_mode=True)
    stored = repr(keras.saving.serialize_keras_object(found)) + repr(getattr(found, "get_compile_config", dict)())
    assert f"keras_lecture>{name}" in stored
