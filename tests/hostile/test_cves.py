"""The mechanism of each CVE of Keras in every argument of every registered class, and in the weights of our layers."""

import contextlib

import h5py
import keras
import numpy as np
import pytest
from keras.src.saving import serialization_lib
from support.hostile_configs import LAMBDA, MARK, attack, healthy, registered
from support.watched_calls import watched

from keras_lecture import layers


def unit(module, name, config, registered_name=None):
    return {"module": module, "class_name": name, "config": config, "registered_name": registered_name}


def function(module, name):
    return unit(module, "function", name, name)


PATH = f"/tmp/{MARK}"
MECHANISMS = {
    "CVE-2024-3660, code of a lambda": unit("keras.layers", "Lambda", {"name": "f", "function": LAMBDA}),
    "CVE-2025-1550, a function of any module": unit(
        "keras.layers", "Lambda", {"name": "f", "function": function("os", "system"), "arguments": {"x": MARK}}
    ),
    "CVE-2025-1550, a class of any module": unit("subprocess", "Popen", {"args": [MARK]}),
    "CVE-2025-8747, a function of Keras that downloads": function("keras.utils", "get_file"),
    "CVE-2025-9906, a function that ends the safe mode": function("keras.config", "enable_unsafe_deserialization"),
    "CVE-2025-9905, the code of an older format": {
        "class_name": "Lambda",
        "config": {"function": LAMBDA["config"]["value"]},
    },
    "CVE-2026-12481, code by a bare lambda": LAMBDA,
    "CVE-2025-12058, a vocabulary from a path": unit(
        "keras.layers", "StringLookup", {"name": "s", "vocabulary": f"{PATH}/vocabulary.txt"}
    ),
    "CVE-2026-1462, a model from a path": unit("keras.layers", "TFSMLayer", {"name": "s", "filepath": PATH}),
    "a pickled module of PyTorch": unit("keras.layers", "TorchModuleWrapper", {"name": "t", "module": MARK}),
}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("name", sorted(registered()))
def test_a_mechanism_in_every_argument(name, mechanism):
    for argument in healthy(name)["config"]:
        config = healthy(name)
        config["config"][argument] = MECHANISMS[mechanism]
        with attack():
            keras.saving.deserialize_keras_object(config, safe_mode=True)
        assert serialization_lib.in_safe_mode() in (None, True), argument


def build():
    return keras.Sequential([keras.Input((4,)), layers.Maxout(3, pieces=2, name="maxout")])


def rewritten(path, change):
    """Applies `change(file, name)` to the kernel in a weights file."""
    build().save_weights(path)
    with h5py.File(path, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if getattr(item, "ndim", 0) == 2 else None)
        change(file, names[0])


def test_cve_2026_1669_a_weight_in_another_file(tmp_path):
    """An external link and an external dataset name a file elsewhere, whose content would become a weight."""
    secret = np.full((4, 6), 42.0, "float32")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["secret"] = secret
    (tmp_path / "secret.bin").write_bytes(secret.tobytes())

    def link(file, name):
        del file[name]
        file[name] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "secret")

    def dataset(file, name):
        del file[name]
        file.create_dataset(name, (4, 6), "float32", external=[(str(tmp_path / "secret.bin"), 0, 96)])

    for kind, change in (("link", link), ("dataset", dataset)):
        path = tmp_path / f"{kind}.weights.h5"
        rewritten(path, change)
        model = build()
        with contextlib.suppress(Exception):
            model.load_weights(path)
        assert not (np.asarray(model.get_weights()[0]) == 42.0).any(), kind


def test_cve_2026_0897_a_weight_that_declares_a_huge_shape(tmp_path):
    """Chunks that were never written take no space in the file."""

    def bomb(file, name):
        del file[name]
        file.create_dataset(name, (2**34, 6), "float32", chunks=(1024, 6))

    path = tmp_path / "bomb.weights.h5"
    rewritten(path, bomb)
    model = build()
    with watched(mark=MARK, may_open=[path]), pytest.raises(Exception, match=r"shape|size|bytes|declar"):
        model.load_weights(path)
