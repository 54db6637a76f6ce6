"""`NAME key=value …`: spelling of names, Python values, and errors that list the valid names."""

import pytest

from keras_lecture import data, models, optimizers
from keras_lecture._command_line.choices import CHOICES
from keras_lecture._command_line.settings import named, settings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("true", True),
        ("False", False),
        ("none", None),
        ("relu", "relu"),
        ("'1'", "1"),
        ("64,32", (64, 32)),
        ("[64, 32]", [64, 32]),
        ("a=b", "a=b"),
        ("", ""),
        ("{[]:1}", "{[]:1}"),
        ("1is 2", "1is 2"),
        ("-" * 100_000 + "1", "-" * 100_000 + "1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_values_are_literals_or_strings(text, value):
    def target(key):
        """Takes anything."""

    parsed = settings("--option name", [f"key={text}"], target)["key"]
    assert (type(parsed), parsed) == (type(value), value)


@pytest.mark.parametrize("name", ["ada_grad", "adagrad", "AdaGrad", "ada-grad"])
def test_case_hyphens_and_underscores_do_not_matter(name):
    assert named("--optimizer", [name, "epsilon=0.1"]) == (optimizers.AdaGrad, {"epsilon": 0.1})


def test_argument_set_by_another_option_is_rejected():
    with pytest.raises(ValueError, match="--model resnet: `argument` must be one of .*depth.* Received: argument='cla"):
        named("--model", ["resnet", "depth=20", "classes=3"], taken=("input_shape", "classes"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["resnett"],
            "`--model` must be one of .*'mlp'.*'resnet'.* Received: --model='resnett'. Did you mean 'resnet'.",
        ),
        (["resnet"], "--model resnet: `depth` must be given.* Add depth=…"),
        (
            ["mlp", "unit=3"],
            "--model mlp: `argument` must be one of .*units.* Received: argument='unit'. Did you mean 'units'.",
        ),
        (["mlp", "units=3,", "units=4,"], "--model mlp: `units` must be given once. Received: units='4,'"),
        (["mlp", "32"], "--model mlp: `key=value` must be a name, an equals sign and a value. Received: .*'32'"),
    ],
)
def test_invalid_name_or_argument_lists_the_valid_ones(words, message):
    with pytest.raises(ValueError, match=message):
        named("--model", words)


def test_choices_are_public_names():
    assert CHOICES["--model"]["resnet"] is models.resnet and "fine_tune" not in CHOICES["--model"]
    assert {"sgd", "nesterov", "adam", "lbfgs"} < set(CHOICES["--optimizer"]) and "rule" not in CHOICES["--optimizer"]
    assert set(CHOICES["--average"]) == {"lookahead", "stochastic_weight_average"}
    assert set(CHOICES["--schedule"]) == {"cyclical", "exponential", "inverse_time", "warm_restarts"}
    assert {"softmax_cross_entropy", "l2", "logistic"} < set(CHOICES["--loss"])
    assert set(CHOICES["--augment"]) == {"random_affine", "random_crop_flip", "pca_color", "jitter"}


def test_data_sets_are_those_that_load_accepts():
    with pytest.raises(ValueError) as rejected:
        data.load("nothing")
    listed = str(rejected.value).partition("one of ")[2].partition(". Received")[0]
    assert listed == ", ".join(sorted(map(repr, CHOICES["--dataset"])))
