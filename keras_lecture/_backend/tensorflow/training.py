"""The train step on TensorFlow."""

import tensorflow as tf

from keras_lecture._backend.state import assign, variables

# Keras's train step changes variables in place here.
PURE_TRAIN_STEP = False
# What a train function raises where its data end.
END_OF_DATA = (StopIteration, tf.errors.OutOfRangeError)


def train_step(model, step):
    def run(data):
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "A step that evaluates the loss sees one replica's part of the batch, so that replicas under "
                "`tf.distribute` would part. Train with one replica, or on JAX with `keras.distribution`."
            )
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


def build_first(model, data):
    model._symbolic_build(data_batch=data)


def only_if(condition, act):
    """`act()` if `condition` holds; it may update variables of a `tf.distribute` strategy."""
    context = tf.distribute.get_replica_context()
    if not tf.distribute.has_strategy() or tf.__internal__.distribute.strategy_supports_no_merge_call():
        tf.cond(condition, lambda: (act(), tf.constant(0))[1], lambda: tf.constant(0))
        return

    # An optimizer meets the other replicas, and may do so in no branch: the branch is taken by all together.
    def together(strategy, condition):
        first = strategy.experimental_local_results(condition)[0]

        def on_each():
            strategy.extended.call_for_each_replica(act)
            return tf.constant(0)

        tf.cond(first, on_each, lambda: tf.constant(0))

    context.merge_call(together, args=(condition,))


def recover(model, state=None, data=None):
    pass  # The values are in the variables all the time.


def mean_over_ranks(model):
    return lambda tensors: tensors  # Several replicas are declined.
