"""The one entry: finds the command, runs it, and turns what stopped it into one line and an exit code."""

import argparse
import sys

import keras_lecture
from keras_lecture.command_line import find_lr, train
from keras_lecture.command_line.endings import EXIT_CODES, INTERRUPTED, OWNER, USAGE, Ended

# A command is a module: its docstring says what it does, `add_arguments(parser)` what it takes, `run(arguments)` does
# it and returns the exit code.
COMMANDS = {"train": train, "find-lr": find_lr}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; `--help` has the rest."""

    def error(self, message):
        raise Ended(USAGE, f"{message} (`{self.prog} --help` lists what there is)")


def main(argv: list[str] | None = None) -> int:
    """Runs one command; `argv` is what follows the program's name. Returns the exit code."""
    try:
        arguments = _parser().parse_args(argv)
        return COMMANDS[arguments.command].run(arguments)
    except SystemExit as done:  # `--help` and `--version`
        return done.code or 0
    except Ended as end:
        print(f"{OWNER}: {str(end).removeprefix(f'{OWNER}: ')}", file=sys.stderr)
        return end.code
    except KeyboardInterrupt:
        print(f"{OWNER}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=OWNER,
        description=f"{keras_lecture.__doc__} The environment variable KERAS_BACKEND picks the backend.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{OWNER} {keras_lecture.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, module in COMMANDS.items():
        about = module.__doc__.strip()
        command = commands.add_parser(
            name,
            help=about.splitlines()[0],
            description=about,
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            # `--epoch 5` would be taken for `--epochs` until a second option begins like that.
            allow_abbrev=False,
        )
        module.add_arguments(command)
    return parser
