"""`NAME key=value …`: names are forgiving, values are those of Python, what does not exist is answered by what does."""

import pytest

from keras_lecture import data, models, optimizers
from keras_lecture._command_line.choices import AUGMENTATIONS, AVERAGES, DATASETS, LOSSES, MODELS, OPTIMIZERS, SCHEDULES
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
def test_values_are_numbers_lists_truth_or_words(text, value):
    def target(key):
        """Takes anything."""

    parsed = settings("--option name", [f"key={text}"], target)["key"]
    assert (type(parsed), parsed) == (type(value), value)


@pytest.mark.parametrize("name", ["ada_grad", "adagrad", "AdaGrad", "ada-grad"])
def test_a_name_is_found_however_it_is_spelled(name):
    assert named("--optimizer", [name, "epsilon=0.1"], OPTIMIZERS) == (optimizers.AdaGrad, {"epsilon": 0.1})


def test_an_argument_of_another_option_cannot_be_given_twice():
    with pytest.raises(ValueError, match="--model resnet: `argument` must be one of .*depth.* Received: argument='cla"):
        named("--model", ["resnet", "depth=20", "classes=3"], MODELS, taken=("input_shape", "classes"))


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
def test_what_does_not_exist_is_answered_by_what_does(words, message):
    with pytest.raises(ValueError, match=message):
        named("--model", words, MODELS)


def test_the_choices_are_what_is_public():
    assert MODELS["resnet"] is models.resnet and "fine_tune" not in MODELS
    assert {"sgd", "nesterov", "adam", "lbfgs"} < set(OPTIMIZERS) and "rule" not in OPTIMIZERS
    assert set(AVERAGES) == {"lookahead", "stochastic_weight_average"}
    assert set(SCHEDULES) == {"exponential", "inverse_time", "warm_restarts"}
    assert {"softmax_cross_entropy", "l2", "logistic"} < set(LOSSES)
    assert {"random_affine", "random_crop_flip", "pca_color", "jitter"} == set(AUGMENTATIONS)


def test_the_data_sets_are_those_that_can_be_loaded():
    with pytest.raises(ValueError) as refused:
        data.load("nothing")
    listed = str(refused.value).partition("one of ")[2].partition(". Received")[0]
    assert listed == ", ".join(sorted(map(repr, DATASETS)))
