"""Line searches on TensorFlow."""

import tensorflow as tf

from keras_lecture._backend.tensorflow import xla


def writable(tensor):
    """A copy: who reads a variable, or gives it an array of NumPy, shares its memory."""
    return None if xla.inside() else tf.raw_ops.DeepCopy(x=tensor)


def with_row(matrix, row, vector):
    """In place, where other operations copy all rows; what reads the old one comes before, since `vector` needs it."""
    return None if xla.inside() else tf.raw_ops.InplaceUpdate(x=matrix, i=row[None], v=vector[None])


def row_of(rows, row):
    """XLA would compile the formula anew for each value of `row`: for `rows[row]` it wants to know the number."""
    return tf.gather(rows, row)
