"""Line searches on TensorFlow."""

import tensorflow as tf

from keras_lecture._backend.tensorflow import xla


def writable(tensor):
    """A copy: reading a variable, or converting a NumPy array, shares its memory."""
    return None if xla.inside() else tf.raw_ops.DeepCopy(x=tensor)


def with_row(matrix, row, vector):
    """In place; other operations copy all rows. Reads of the old rows run before, because `vector` depends on them."""
    return None if xla.inside() else tf.raw_ops.InplaceUpdate(x=matrix, i=row[None], v=vector[None])


def row_of(rows, row):
    """With `rows[row]`, XLA needs the value of `row` and would compile the formula again for each."""
    return tf.gather(rows, row)
