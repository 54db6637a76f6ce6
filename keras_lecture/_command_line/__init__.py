"""The command line: `keras-lecture train` and `keras-lecture find-lr`."""

from keras_lecture._command_line.start import is_running, main

__all__ = ["is_running", "main"]
