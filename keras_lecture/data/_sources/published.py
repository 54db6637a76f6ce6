"""Image data sets that Keras downloads; if it cannot, the error names the files to save and their paths."""

import os
import tempfile
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_CIFAR = "https://www.cs.toronto.edu/~kriz/"
# Timeout in seconds for the check that the network is up: Keras itself would wait for minutes.
_TIMEOUT = 10


class Source(NamedTuple):
    """A loader of Keras, the paths of its files in the folder `datasets` by URL, and the class names."""

    load_data: Callable
    files: dict[str, str]
    classes: str


_FASHION = ("train-labels-idx1", "train-images-idx3", "t10k-labels-idx1", "t10k-images-idx3")

SOURCES = {
    "mnist": Source(keras.datasets.mnist.load_data, {f"{_KERAS}mnist.npz": "mnist.npz"}, "0 1 2 3 4 5 6 7 8 9"),
    "fashion_mnist": Source(
        keras.datasets.fashion_mnist.load_data,
        {f"{_KERAS}{name}-ubyte.gz": os.path.join("fashion-mnist", f"{name}-ubyte.gz") for name in _FASHION},
        "t_shirt trouser pullover dress coat sandal shirt sneaker bag ankle_boot",
    ),
    # In Keras's cache an archive has the name of the folder that it is unpacked to.
    "cifar10": Source(
        keras.datasets.cifar10.load_data,
        {f"{_CIFAR}cifar-10-python.tar.gz": "cifar-10-batches-py-target_archive"},
        "airplane automobile bird cat deer dog frog horse ship truck",
    ),
    "cifar100": Source(
        keras.datasets.cifar100.load_data,
        {f"{_CIFAR}cifar-100-python.tar.gz": "cifar-100-python-target_archive"},
        "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel "
        "can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur "
        "dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion "
        "lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree "
        "pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea "
        "seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank "
        "telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm",
    ),
}


def read(name: str):
    """Channels-last images, class indices, class names, and the number of test images, which come last."""
    source = SOURCES[name]
    paths = {url: os.path.join(_folder(), file) for url, file in source.files.items()}
    missing = [url for url, path in paths.items() if not os.path.exists(path)]
    try:
        if missing:
            urllib.request.urlopen(missing[0], timeout=_TIMEOUT).close()
        (x_train, y_train), (x_test, y_test) = source.load_data()
    except Exception as error:
        orders = "\n".join(f"  {url} as {paths[url]}" for url in missing or paths)
        raise FileNotFoundError(
            f'load: "{name}" is not in the cache of Keras and could not be downloaded ({error}). Save\n{orders}'
        ) from error
    # A contiguous copy: Keras may return a transposed view.
    x = np.empty((len(x_train) + len(x_test), *x_train.shape[1:]), "float32")
    np.concatenate([x_train, x_test], out=x, casting="unsafe")
    x /= 255
    if x.ndim == 3:
        x = x[..., None]
    elif keras.config.image_data_format() == "channels_first":
        x = np.moveaxis(x, 1, -1)
    return x, np.concatenate([y_train, y_test]).reshape(-1), tuple(source.classes.split()), len(y_test)


def _folder():
    """Keras's folder for data sets, found like in its `get_file`."""
    home = os.path.expanduser(os.environ.get("KERAS_HOME") or os.path.join("~", ".keras"))
    if not os.access(home, os.W_OK):
        home = os.path.join("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir(), ".keras")
    return os.path.join(home, "datasets")
