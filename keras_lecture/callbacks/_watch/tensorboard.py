"""Counts that exist already as a histogram in Keras's `TensorBoard`, whose own histograms count by themselves."""

import importlib

import keras
import numpy as np

from keras_lecture._training.running_fit import callback_list


def boards() -> list:
    """The `TensorBoard` callbacks of the `fit` that is calling."""
    callbacks = getattr(callback_list(), "callbacks", ())
    return [callback for callback in callbacks if isinstance(callback, keras.callbacks.TensorBoard)]


def write_histogram(board, name: str, edges, counts, epoch: int):
    """Writes how many values lie between neighboring `edges` to where `board` writes the numbers of training."""
    filled = np.flatnonzero(counts)
    # Empty bins at both ends would take all the room.
    shown = slice(filled[0], filled[-1] + 1) if len(filled) else slice(None)
    buckets = np.stack([edges[:-1], edges[1:], counts], axis=1)[shown]
    # Keras's callback works where this package is, on every backend.
    metadata = importlib.import_module("tensorboard.plugins.histogram.metadata")
    about = metadata.create_summary_metadata(display_name=None, description="log₂ of the magnitudes")
    # Its own writer: TensorBoard reads one file of a run at a time. Keras 3.15 has no public name for it.
    with board._train_writer.as_default(), board.summary.record_if(True):
        board.summary.write(name, buckets.astype("float64"), step=epoch, metadata=about)
