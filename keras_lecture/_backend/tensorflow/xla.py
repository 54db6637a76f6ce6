"""XLA clusters inside a TensorFlow graph: when they are faster, and whether XLA is available."""

import functools
import math

import tensorflow as tf

# The elements per sample from which a cluster is faster than single operations, measured on a CPU with batches of 128.
SMALLEST_SAMPLE = 256

cluster = functools.partial(tf.function, jit_compile=True, autograph=False)


def pays(*tensors) -> bool:
    """Whether samples are large enough: launching a cluster costs as much as several operations on small tensors.

    A trace usually knows the size of a sample, but not of the batch.
    """
    if inside():
        return False
    return any(None in t.shape[1:] or math.prod(t.shape[1:]) >= SMALLEST_SAMPLE for t in tensors) and exists()


def inside() -> bool:
    """Whether XLA compiles the whole graph under construction, as with `jit_compile=True`, and so fuses by itself."""
    return tf.__internal__.get_enclosing_xla_context() is not None


@functools.cache
def exists():
    """Whether this TensorFlow was built with XLA for the device it runs on."""
    try:
        with tf.init_scope():
            cluster(tf.identity)(tf.zeros(()))
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        return False
    return True
