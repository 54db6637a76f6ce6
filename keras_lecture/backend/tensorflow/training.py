"""The train step on TensorFlow."""

import tensorflow as tf

from keras_lecture.backend.state import assign, variables


def train_step(model, step):
    def run(data):
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "A step that evaluates the loss sees one replica's part of the batch, so that replicas under "
                "`tf.distribute` would part. Train with one replica, or on JAX with `keras.distribution`."
            )
        # Keras 3.15 on TensorFlow leaves to the first step what is not built yet; a pure step comes too late for it.
        model._symbolic_build(data_batch=data)
        groups = variables(model)
        logs, state = step(tuple([v.value for v in group] for group in groups), data)
        assign(groups, state)
        return logs

    return run


def repeatable(f):
    return f  # Keras's random numbers on TensorFlow are functions of the seeds of the model's layers.


def generators():
    return []


def set_generators(states):
    pass


def build(model, batches):
    # Keras 3.15 leaves it to the first step; shapes and types are enough.
    model._symbolic_build(data_batch=batches._distributed_dataset.element_spec)


def shuffles_alike():
    # `tf.data` draws from a generator of its own, seeded from the global seed; a new graph has none.
    with tf.Graph().as_default():
        unseeded = tf.compat.v1.get_seed(0)
    return tf.compat.v1.get_seed(0) != unseeded
