"""Judges a compiled model and its data before training, and says what is wrong and what to do.

DATA.npz holds x and y and, if there are any, sample_weight, x_val, y_val and sample_weight_val, as from `np.savez`.
With several inputs or outputs, their number or name is added: x_0, x_1, or x_NAME.
"""

from pathlib import Path

from keras_lecture._command_line.arrays import VALIDATION, arguments_of_fit
from keras_lecture._command_line.endings import OWNER, usage_errors
from keras_lecture._command_line.saved_model import compiled_model
from keras_lecture._command_line.telling import add_output, check_page, tell
from keras_lecture._core import checks
from keras_lecture.diagnosis._facts.audited import audited

OPERANDS = "MODEL.keras DATA.npz"


def add_arguments(parser):
    parser.add_argument("model", type=Path, metavar="MODEL.keras", help="a compiled model, written by `model.save`")
    parser.add_argument("data", type=Path, metavar="DATA.npz", help="the training data")
    group = parser.add_argument_group("the `fit` to come")
    about = "validation data as x, y and sample_weight, if DATA.npz has no x_val"
    group.add_argument("--validation", type=Path, metavar="FILE.npz", help=about)
    group.add_argument("--batch-size", type=int, default=32, metavar="N", help="samples per step (%(default)s)")
    group.add_argument("--no-shuffle", dest="shuffle", action="store_false", help="`fit` keeps the order of the rows")
    add_output(parser, "none")


def run(arguments) -> int:
    with usage_errors():
        check_page(arguments.out)
        checks.whole(OWNER, "--batch-size", arguments.batch_size)
        model = compiled_model(arguments.model)
        data, validation = _data(arguments, model)
        options = {"batch_size": arguments.batch_size, "shuffle": arguments.shuffle, "validation_data": validation}
        record = audited(model, **data, **options)
    return tell(record, arguments.out, as_json=arguments.json)


def _data(arguments, model):
    """The training data as keyword arguments, and the validation data as `fit` takes them."""
    data = arguments_of_fit("DATA.npz", arguments.data, model)
    held_out = [data.pop(name) for name in VALIDATION if name in data]
    if arguments.validation is not None:
        if held_out:
            remedy = f"{arguments.data} has x_val and y_val already."
            checks.reject(OWNER, "--validation", "left out", str(arguments.validation), remedy)
        held_out = list(arguments_of_fit("--validation", arguments.validation, model, validation=False).values())
    return data, tuple(held_out) or None
