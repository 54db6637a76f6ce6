"""Options of `train` and `find-lr`: data, model, loss, optimizer and output."""

from pathlib import Path

from keras_lecture._command_line.choices import CHOICES

_PAIRS = "A NAME may be followed by arguments: --model resnet depth=20. Errors list the valid names and arguments."


def add_arguments(parser):
    group = parser.add_argument_group("experiment", _PAIRS)
    group.add_argument("--dataset", default="digits", metavar="NAME", help=_listed("--dataset", "%(default)s"))
    group.add_argument(
        "--fractions",
        nargs=3,
        type=float,
        default=[0.6, 0.2, 0.2],
        metavar=("TRAINING", "VALIDATION", "TEST"),
        help="shares of the samples, stratified by class (0.6 0.2 0.2); a published test set is kept",
    )
    add_named(group, "--model", "mlp")
    add_named(group, "--augment", "none", action="append", more="; in training only; may be repeated")
    add_named(group, "--loss", "softmax_cross_entropy for classes, l2 for numbers")
    add_named(group, "--optimizer", "adam")
    group.add_argument("--batch-size", type=int, default=32, metavar="N", help="samples per step (%(default)s)")
    group.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the split, the weights and everything random (%(default)s)",
    )


def add_training(parser):
    """Adds the options for epochs, learning rate, schedule and weight averaging."""
    group = parser.add_argument_group("training", "Lengths are in epochs.")
    group.add_argument(
        "--epochs", type=int, default=20, metavar="N", help="passes over the training part (%(default)s)"
    )
    group.add_argument("--learning-rate", type=float, metavar="RATE", help="default: that of the optimizer")
    add_named(group, "--schedule", "a constant learning rate")
    group.add_argument("--warmup", type=float, metavar="EPOCHS", help="increase the learning rate linearly from near 0")
    add_named(group, "--average", "none", more="; of the weights")
    return group


def add_output(parser, folder: str):
    group = parser.add_argument_group("results")
    group.add_argument("--out", type=Path, metavar="FOLDER", help=f"output folder (runs/{folder})")
    group.add_argument("--json", action="store_true", help="print the record to standard output, and nothing else")
    return group


def add_named(group, option: str, default: str, *, more: str = "", **kwargs):
    """Adds an option `NAME [key=value …]` with its choices in the help; `default` is one of them or an explanation."""
    text = _listed(option, default) + more
    words = [default] if default in CHOICES[option] else None
    group.add_argument(option, nargs="+", metavar=("NAME", "key=value"), default=words, help=text, **kwargs)


def _listed(option, default) -> str:
    return f"{', '.join(sorted(CHOICES[option]))} (default: {default})"
