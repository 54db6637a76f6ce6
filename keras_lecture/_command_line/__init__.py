"""The command line: `keras-lecture train`, `find-lr`, `audit`, `report` and `figures`."""

from keras_lecture._command_line.start import is_running, main

__all__ = ["is_running", "main"]
