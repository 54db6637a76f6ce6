"""Parses the command line and runs the command."""

import importlib

import keras_lecture
from keras_lecture._command_line import audit, figures, find_lr, report, train
from keras_lecture._command_line.endings import EXIT_CODES, OWNER
from keras_lecture._command_line.help import Parser

# A command is a module. Its docstring is its help, `add_arguments(parser)` adds its options, and `run(arguments)`
# returns the exit code; `OPERANDS` are words without an option.
COMMANDS = {"train": train, "find-lr": find_lr, "audit": audit, "report": report, "figures": figures}

# `keras_lecture` does not import its subpackages when it runs as a program, but a model may use any of them.
for part in keras_lecture.__all__:
    importlib.import_module(f"keras_lecture.{part}")


def run(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    parser, commands = _parsers()
    arguments, unknown = parser.parse_known_args(argv)
    chosen = commands[arguments.command]
    if unknown:
        chosen.reject(unknown)
    return COMMANDS[arguments.command].run(arguments)


def _parsers() -> tuple[Parser, dict[str, Parser]]:
    about = f"{keras_lecture.__doc__} The environment variable KERAS_BACKEND selects the framework."
    usage = f"{OWNER} command [options]"
    parser = Parser(prog=OWNER, usage=usage, description=about, epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"{OWNER} {keras_lecture.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="command", required=True, prog=OWNER)
    commands = {}
    for name, module in COMMANDS.items():
        about = module.__doc__.strip()
        commands[name] = subparsers.add_parser(
            name,
            usage=" ".join([OWNER, name, *getattr(module, "OPERANDS", "").split(), "[options]"]),
            help=about.splitlines()[0],
            description=about,
            epilog=EXIT_CODES,
        )
        module.add_arguments(commands[name])
    return parser, commands
