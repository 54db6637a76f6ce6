"""Finds a learning rate: increases it at every step and plots where the loss falls and where it diverges.

Takes the options of `train` that describe the experiment, and suggests a value for `train --learning-rate`.
"""

from keras_lecture import callbacks
from keras_lecture._command_line import options
from keras_lecture._command_line.endings import FAILED, OK, OWNER, Ended, usage_errors
from keras_lecture._command_line.experiment import experiment
from keras_lecture._command_line.failures import training
from keras_lecture._command_line.files import folder_of, write
from keras_lecture._command_line.record import record_of, text_of
from keras_lecture._command_line.streams import out
from keras_lecture._command_line.terminal import show
from keras_lecture._core import checks


def add_arguments(parser):
    options.add_arguments(parser)
    group = parser.add_argument_group("search")
    group.add_argument("--lowest", type=float, default=1e-7, metavar="RATE", help="first rate (%(default)s)")
    group.add_argument("--highest", type=float, default=10.0, metavar="RATE", help="last rate (%(default)s)")
    group.add_argument("--steps", type=int, default=100, metavar="N", help="number of rates (%(default)s)")
    group.add_argument("--smoothing", type=float, default=0.98, metavar="BETA", help="loss smoothing (%(default)s)")
    group.add_argument("--curvature", action="store_true", help="also suggest 1/L from the curvature of the loss")
    options.add_output(parser, "find-lr-DATASET-MODEL")
    # The sweep itself is the schedule, and it is too short for weight averaging.
    parser.set_defaults(learning_rate=None, schedule=None, warmup=None, average=None)


def run(arguments) -> int:
    with usage_errors():
        checks.number(OWNER, "--lowest", arguments.lowest, "(0, ∞)")
        checks.number(OWNER, "--highest", arguments.highest, f"({arguments.lowest}, ∞)")
        checks.whole(OWNER, "--steps", arguments.steps, "[2, ∞)")
        checks.number(OWNER, "--smoothing", arguments.smoothing, "[0, 1)")
        work = experiment(arguments)
        folder = folder_of(arguments, f"find-lr-{arguments.dataset}-{arguments.model[0]}")
    with training():
        sweep = callbacks.find_learning_rate(
            work.model,
            work.batches,
            learning_rates=(arguments.lowest, arguments.highest),
            steps=arguments.steps,
            smoothing=arguments.smoothing,
            curvature=arguments.curvature,
            shuffle=False,
            verbose=0,
        )
    suggested = {name: getattr(sweep, name) for name in ("valley", "steepest", "curvature")}
    record = record_of(arguments, parameters=work.parameters, sweep=sweep._asdict(), suggestions=suggested)
    written = write(folder, record, {"learning_rate": lambda figures: figures.learning_rate_sweep(sweep)})
    found = {name: rate for name, rate in suggested.items() if rate is not None}
    if arguments.json:
        out(text_of(record))
    elif found:
        advice = f"train with --learning-rate {next(iter(found.values())):.2g}"
        show({name: {"learning rate": rate} for name, rate in found.items()}, [advice, *written])
    if not found:
        raise Ended(FAILED, "the loss never falls in the sweep: try another --lowest and --highest, or more --steps")
    return OK
