"""`load`: the data sets of scikit-learn, the data sets in Keras's cache, and the errors if they are missing."""

import importlib
import sys
import urllib.error
import urllib.request

import keras
import numpy as np
import pytest
from sklearn import datasets

from keras_lecture.data import load
from keras_lecture.data._sources import published


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("digits", (1797, 8, 8, 1), 10),
        ("breast_cancer", (569, 30), 2),
        ("wine", (178, 13), 3),
        ("diabetes", (442, 10), 0),
    ],
)
def test_bundled_data(name, shape, classes):
    x, y = found = load(name)
    raw = getattr(datasets, f"load_{name}")()
    scale = 16 if name == "digits" else 1
    np.testing.assert_allclose(x.reshape(len(x), -1), raw.data / scale, rtol=1e-6)
    np.testing.assert_allclose(y, raw.target)
    assert (x.shape, x.dtype, len(y)) == (shape, "float32", len(x))
    assert y.dtype == ("int32" if classes else "float32")
    assert len(found.classes or ()) == classes == (len(np.unique(y)) if classes else 0)
    assert found.features is None if name == "digits" else len(found.features) == shape[1]
    assert found.test == 0


def test_the_configured_data_format():
    last = load("digits").x
    keras.config.set_image_data_format("channels_first")
    first = load("digits").x
    assert first.shape == (1797, 1, 8, 8)
    np.testing.assert_array_equal(first, np.moveaxis(last, -1, 1))


def test_without_scikit_learn_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras_lecture.data._sources.bundled", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        load("wine")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty cache and no network: every connection fails at once."""
    calls = []

    def refuse(url, *args, timeout=None, **kwargs):
        calls.append((url, timeout))
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(importlib.import_module("keras.src.backend.config"), "_KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return calls


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("mnist", ["mnist.npz"]),
        ("fashion_mnist", ["train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"]),
        ("cifar10", ["cifar-10-python.tar.gz", "cifar-10-batches-py-target_archive"]),
        ("cifar100", ["cifar-100-python.tar.gz", "cifar-100-python-target_archive"]),
    ],
)
def test_without_a_network_the_error_names_the_files_and_their_paths(offline, tmp_path, name, files):
    with pytest.raises(FileNotFoundError) as error:
        load(name)
    message = str(error.value)
    assert message.startswith(f'load: "{name}" is not in the cache of Keras and could not be downloaded (')
    assert "no network" in message
    assert all(file in message for file in ["https://", str(tmp_path / "datasets"), *files])
    assert len(offline) == 1
    assert 0 < offline[0][1] <= 30, "a timeout for a network that does not answer"


@pytest.mark.filterwarnings("ignore:Could not extract archive")
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_the_files_are_those_that_keras_downloads(monkeypatch, tmp_path, name):
    """Keras's own downloads, intercepted: their URLs and paths are those of the error message."""
    asked = []

    def urlretrieve(url, path, report):
        asked.append((url, path))
        open(path, "wb").close()

    file_utils = importlib.import_module("keras.src.utils.file_utils")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(importlib.import_module("keras.src.backend.config"), "_KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(file_utils, "urlretrieve", urlretrieve)
    monkeypatch.setattr(file_utils, "validate_file", lambda *args, **kwargs: True)
    # The files are empty.
    with pytest.raises((EOFError, OSError, ValueError)):
        published.SOURCES[name].load_data()
    expected = [(url, str(tmp_path / "datasets" / file)) for url, file in published.SOURCES[name].files.items()]
    assert asked == expected


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", ["fashion_mnist", "cifar100"])
def test_images_of_keras(monkeypatch, offline, tmp_path, name, data_format):
    """Data in the form of `load_data`, made by hand: integers, no channel axis, a column of labels."""
    keras.config.set_image_data_format(data_format)
    random = np.random.default_rng(0)
    shape = (28, 28) if name == "fashion_mnist" else (32, 32, 3) if data_format == "channels_last" else (3, 32, 32)
    x, y = random.integers(0, 256, (5, *shape)).astype("uint8"), np.array([3, 1, 0, 2, 1], "uint8")
    y = y if name == "fashion_mnist" else y[:, None]
    source = published.SOURCES[name]._replace(load_data=lambda: ((x[:3], y[:3]), (x[3:], y[3:])))
    for file in source.files.values():
        (tmp_path / "datasets" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "datasets" / file).touch()
    monkeypatch.setitem(published.SOURCES, name, source)
    found = load(name)
    expected = x / np.float32(255)
    if name == "fashion_mnist":
        expected = np.expand_dims(expected, -1 if data_format == "channels_last" else 1)
    np.testing.assert_array_equal(found.x, expected)
    assert found.x.flags.c_contiguous
    np.testing.assert_array_equal(found.y, [3, 1, 0, 2, 1])
    assert found.test == 2
    assert len(found.classes) == len(set(found.classes)) == (10 if name == "fashion_mnist" else 100)
    assert name != "cifar100" or list(found.classes) == sorted(found.classes)
    assert offline == [], "cached data need no network"


def test_an_unknown_name_lists_the_choices():
    with pytest.raises(
        ValueError, match="load: `name` must be one of 'breast_cancer', 'cifar10'.*Received: name='iris'"
    ):
        load("iris")
