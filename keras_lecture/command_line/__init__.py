"""The command line: `keras-lecture train`, `keras-lecture find-lr`."""

from keras_lecture.command_line.entry import main

__all__ = ["main"]
