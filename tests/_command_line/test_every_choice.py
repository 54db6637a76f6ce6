"""Every choice of every option runs once, on one backend only, because the options do not depend on the backend."""

import json

import keras
import numpy as np
import pytest
from support.command import run
from support.harness import BACKEND

from keras_lecture._command_line import files
from keras_lecture._command_line.choices import CHOICES
from keras_lecture.data._sources import published

WINE = ["--dataset", "wine", "--model", "mlp", "units=()", "--batch-size", "107"]
IMAGES = ["--dataset", "cifar10", "--batch-size", "20"]
LARGE_IMAGES = ["--dataset", "mnist", "--batch-size", "20"]
# Required arguments, and arguments that make a model small.
ARGUMENTS = {
    "alexnet": ["width=0.02"],
    "all_conv": ["width=0.05"],
    "densenet": ["depth=10", "growth=2"],
    "mlp": ["units=4,"],
    "plain": ["depth=8", "width=0.1"],
    "random_crop_flip": ["height=28", "width=28"],
    "resnet": ["depth=8", "width=0.1"],
    "stochastic_weight_average": ["start=1"],
    "vgg": ["depth=11", "width=0.02"],
}
TABLES = ("breast_cancer", "diabetes", "wine")
FOR_TWO_CLASSES = set(CHOICES["--loss"]) - {"l1", "l2", "softmax_cross_entropy", "multiclass_hinge"}


def _data_for(loss):
    name = "breast_cancer" if loss in FOR_TWO_CLASSES else "diabetes" if loss in ("l1", "l2") else "wine"
    return ["--dataset", name, *WINE[2:]]


def _model_for(name):
    return ["--model", "mlp", "units=()"] if name in TABLES else ["--model", "resnet", "depth=8", "width=0.1"]


def _option(option, name):
    return [option, name, *ARGUMENTS.get(name, ())]


def _commands():
    for name in CHOICES["--dataset"]:
        yield ["train", "--dataset", name, *_model_for(name), "--batch-size", "400"]
        yield ["find-lr", "--dataset", name, *_model_for(name), "--steps", "5", "--batch-size", "100"]
    for name in CHOICES["--model"]:
        data = LARGE_IMAGES if name == "alexnet" else IMAGES
        yield ["train", *data, *_option("--model", name)]
    for name in CHOICES["--augment"]:
        yield ["train", *IMAGES, "--model", "mlp", "units=()", *_option("--augment", name)]
    for name in CHOICES["--loss"]:
        yield ["train", *_data_for(name), *_option("--loss", name)]
    for option in ("--optimizer", "--schedule", "--average"):
        for name in CHOICES[option]:
            yield ["train", *WINE, *_option(option, name)]
    for more in (
        ["--clip", "value=1"],
        ["--reduce-learning-rate", "patience=0"],
        ["--early-stopping", "patience=0"],
        ["--warmup", "0.5", "--learning-rate", "0.1", "--seed", "3", "--fractions", "0.4", "0.3", "0.3"],
        ["--save", "--resume"],
    ):
        yield ["train", *WINE, *more]
    yield ["find-lr", *WINE, "--lowest", "1e-4", "--highest", "1", "--smoothing", "0.5", "--steps", "20", "--curvature"]


def _images(side, channels, classes):
    """Random images in the format of Keras's `load_data`: (training, test) of (images, labels)."""
    draw = np.random.default_rng(0)
    y = np.arange(2 * classes) % classes
    shape = (len(y), side, side, channels) if channels > 1 else (len(y), side, side)
    return tuple((draw.integers(0, 256, shape, "uint8"), y) for _ in range(2))


if BACKEND == "torch":  # The fastest backend here, because nothing is compiled.

    @pytest.fixture(autouse=True)
    def _small(monkeypatch):
        """Replaces published data sets by a few random images, and turns off figures, which `test_train` covers."""
        sizes = {"mnist": (70, 1), "fashion_mnist": (8, 1), "cifar10": (32, 3), "cifar100": (8, 3)}
        for name, (side, channels) in sizes.items():
            source = published.SOURCES[name]
            count = len(source.classes.split())
            small = source._replace(files={}, load_data=lambda size=(side, channels, count): _images(*size))
            monkeypatch.setitem(published.SOURCES, name, small)
        monkeypatch.setattr(files, "figures", None)

    @pytest.mark.parametrize("words", list(_commands()), ids=" ".join)
    def test_listed_choice_works(words, tmp_path):
        """L15: the help listed `--augment pca_color`, which ended with an error."""
        epochs = ["--epochs", 1] if words[0] == "train" else []
        code, out, err = run(*words, *epochs, "--out", tmp_path, "--json")
        # A sweep on random images may find no learning rate.
        assert code in ((0,) if words[0] == "train" else (0, 1)), err
        assert "Traceback" not in err and "traceback" not in err
        record = json.loads(out)
        assert record == json.loads((tmp_path / "record.json").read_text())
        assert record["backend"] == keras.backend.backend()
