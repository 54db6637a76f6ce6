"""The parser of the command line: mistakes in one line, help that fits the terminal."""

import argparse
import re
import textwrap

from keras_lecture._command_line.endings import USAGE, Ended
from keras_lecture._core import checks

_NARROW = 60


class Formatter(argparse.HelpFormatter):
    """Fills each line of a text by itself; a line of a table continues below its text. No word is broken."""

    def __init__(self, prog):
        super().__init__(prog)
        if self._width < _NARROW:
            self._max_help_position = 6

    def _fill_text(self, text, width, indent):
        return "\n".join(_filled(line, width, indent) for line in text.splitlines())

    def _split_lines(self, text, width):
        return _filled(" ".join(text.split()), width).splitlines()


def _filled(line, width, indent=""):
    row = re.match(r" +\S+ +", line)
    hanging = indent + " " * (row.end() if row else 0)
    return textwrap.fill(
        line,
        width,
        initial_indent=indent,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; `--help` has the rest. No option is silently replaced by a second one."""

    def __init__(self, **kwargs):
        # `--epoch 5` would be taken for `--epochs` until a second option begins like that.
        super().__init__(formatter_class=Formatter, allow_abbrev=False, **kwargs)
        self.register("action", None, _Once)
        self.given = set()

    def error(self, message):
        raise Ended(USAGE, f"{message} (`{self.prog} --help` lists what there is)")

    def refuse(self, words):
        """The error for words that are neither an option nor a value of one."""
        near = checks.nearest(words[0].partition("=")[0], self._option_string_actions)
        self.error(f"unrecognized arguments: {' '.join(words)}. {near}".rstrip(" ."))


class _Once(argparse.Action):
    """Stores the value of an option that is given at most once."""

    def __call__(self, parser, namespace, values, option_string=None):
        if self.dest in parser.given:
            raise argparse.ArgumentError(self, "given twice")
        parser.given.add(self.dest)
        setattr(namespace, self.dest, values)
