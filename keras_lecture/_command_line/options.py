"""The options that `train` and `find-lr` share: what is trained, on what, and where the results go."""

from collections.abc import Iterable
from pathlib import Path

from keras_lecture._command_line.choices import AUGMENTATIONS, AVERAGES, DATASETS, LOSSES, MODELS, OPTIMIZERS, SCHEDULES

_PAIRS = (
    "A NAME may be followed by its arguments: --model resnet depth=20. What does not exist is answered by what does."
)


def add_arguments(parser):
    group = parser.add_argument_group("what is trained", _PAIRS)
    group.add_argument("--dataset", default="digits", metavar="NAME", help=_listed("%(default)s", DATASETS))
    group.add_argument(
        "--fractions",
        nargs=3,
        type=float,
        default=[0.6, 0.2, 0.2],
        metavar=("TRAINING", "VALIDATION", "TEST"),
        help="parts of the samples, with all classes in each (0.6 0.2 0.2); a published test set stays what it is",
    )
    add_named(group, "--model", MODELS, "mlp")
    add_named(group, "--augment", AUGMENTATIONS, "none", action="append", more="; in training only; may be repeated")
    add_named(group, "--loss", LOSSES, "by the targets: cross entropy for classes, l2 for numbers")
    add_named(group, "--optimizer", OPTIMIZERS, "adam")
    group.add_argument("--batch-size", type=int, default=32, metavar="N", help="samples in a step (%(default)s)")
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of split, weights and all chance (%(default)s)"
    )


def add_course(parser):
    """The options that say how the learning rate and the average of the weights go with the epochs."""
    group = parser.add_argument_group("course of the training", "Lengths are in epochs.")
    group.add_argument(
        "--epochs", type=int, default=20, metavar="N", help="passes over the training part (%(default)s)"
    )
    group.add_argument("--learning-rate", type=float, metavar="RATE", help="default: the optimizer's own")
    add_named(group, "--schedule", SCHEDULES, "a constant learning rate")
    group.add_argument("--warmup", type=float, metavar="EPOCHS", help="first raise the learning rate from near 0")
    add_named(group, "--average", AVERAGES, "none", more="; of the weights")
    return group


def add_output(parser, folder: str):
    group = parser.add_argument_group("results")
    group.add_argument("--out", type=Path, metavar="FOLDER", help=f"where the files go (runs/{folder})")
    group.add_argument("--json", action="store_true", help="print the record on the standard output, and nothing else")
    return group


def add_named(group, option: str, choices: Iterable[str], default: str, *, more: str = "", **kwargs):
    """An option `NAME [key=value …]` with its choices in the help."""
    text = _listed(default, choices) + more
    metavar = ("NAME", "key=value")
    group.add_argument(option, nargs="+", metavar=metavar, default=_default(default, choices), help=text, **kwargs)


def _default(default, choices):
    return [default] if default in choices else None


def _listed(default, choices):
    return f"{', '.join(sorted(choices))} (default: {default})"
