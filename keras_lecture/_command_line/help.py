"""The argument parser: one-line errors, and help that fits the terminal."""

import argparse
import re
import textwrap

from keras_lecture._command_line.endings import USAGE, Ended
from keras_lecture._core import checks

_NARROW = 60


class Formatter(argparse.HelpFormatter):
    """Wraps each line separately, with a hanging indent in tables, and never breaks a word."""

    def __init__(self, prog):
        super().__init__(prog)
        if self._width < _NARROW:
            self._max_help_position = 6

    def _format_usage(self, *parts):
        return _filled(super()._format_usage(*parts).strip(), self._width) + "\n\n"

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
    """Reports errors in one line and rejects repeated options."""

    def __init__(self, **kwargs):
        # An abbreviation such as `--epoch` would break as soon as another option began with it.
        super().__init__(formatter_class=Formatter, allow_abbrev=False, **kwargs)
        self.register("action", None, _Once)
        self.given = set()

    def error(self, message):
        raise Ended(USAGE, f"{message} (`{self.prog} --help` lists the options)")

    def reject(self, words):
        """Raises the error for words that are neither an option nor the value of one."""
        near = checks.nearest(words[0].partition("=")[0], self._option_string_actions)
        self.error(f"unrecognized arguments: {' '.join(words)}. {near}".rstrip(" ."))


class _Once(argparse.Action):
    """Stores the value of an option that may be given only once."""

    def __call__(self, parser, namespace, values, option_string=None):
        if self.dest in parser.given:
            raise argparse.ArgumentError(self, "given twice")
        parser.given.add(self.dest)
        setattr(namespace, self.dest, values)
