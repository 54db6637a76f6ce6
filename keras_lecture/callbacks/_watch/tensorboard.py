"""Writes ready-made counts as a histogram to Keras's `TensorBoard`, whose own histograms take raw values."""

import importlib

import keras
import numpy as np

from keras_lecture._training.running_fit import callback_list


def boards() -> list:
    """The `TensorBoard` callbacks of the running `fit`."""
    callbacks = getattr(callback_list(), "callbacks", ())
    return [callback for callback in callbacks if isinstance(callback, keras.callbacks.TensorBoard)]


def write_histogram(board, name: str, edges, counts, epoch: int):
    """Writes the counts of values between neighboring `edges` to the training log of `board`."""
    filled = np.flatnonzero(counts)
    # Without the empty bins at both ends, which would fill the plot.
    shown = slice(filled[0], filled[-1] + 1) if len(filled) else slice(None)
    buckets = np.stack([edges[:-1], edges[1:], counts], axis=1)[shown]
    # Not imported at the top: tensorboard is optional, and installed if `board` exists.
    metadata = importlib.import_module("tensorboard.plugins.histogram.metadata")
    about = metadata.create_summary_metadata(display_name=None, description="log₂ of the magnitudes")
    # The writer of `board`, because TensorBoard reads one file for each run; a private name in Keras 3.15.
    with board._train_writer.as_default(), board.summary.record_if(True):
        board.summary.write(name, buckets.astype("float64"), step=epoch, metadata=about)
