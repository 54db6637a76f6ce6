"""The train step on TensorFlow."""

from contextlib import nullcontext

import tensorflow as tf

from keras_lecture._backend.batches import taken
from keras_lecture._backend.state import assign, variables

# Keras's train step changes variables in place.
PURE_TRAIN_STEP = False
# The exceptions by which a train function reports the end of the data.
END_OF_DATA = (StopIteration, tf.errors.OutOfRangeError)


def train_step(model, step):
    def run(data):
        # The loops and branches of a search cannot reduce over replicas: `merge_call` is not allowed inside them.
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "A step that evaluates the loss sees one replica's part of the batch, so that the weights of replicas "
                "under `tf.distribute` would diverge. Train with one replica, or on JAX with `keras.distribution`."
            )
        groups = variables(model)
        logs, state = step(tuple([v.value for v in group] for group in groups), data)
        assign(groups, state)
        return logs

    return run


def repeatable(f):
    return f  # On TensorFlow Keras's random numbers are functions of the seeds in the model's layers.


def execution(data, size):
    batches = taken(data, size)
    return batches, batches


def generators():
    return []


def set_generators(states):
    pass


def build(model, batches):
    # Keras 3.15 would build them in the first step; shapes and dtypes are enough.
    model._symbolic_build(data_batch=batches._distributed_dataset.element_spec)


def shuffles_alike():
    # `tf.data` has its own generator, seeded from the global seed; a new graph has no global seed.
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

    # An optimizer synchronizes the replicas, which a branch does not allow: all replicas take the branch together.
    def together(strategy, condition):
        first = strategy.experimental_local_results(condition)[0]

        def on_each():
            strategy.extended.call_for_each_replica(act)
            return tf.constant(0)

        tf.cond(first, on_each, lambda: tf.constant(0))

    context.merge_call(together, args=(condition,))


def recover(model, state=None, data=None):
    pass  # The variables keep their values.


def mean_over_ranks(model):
    return lambda tensors: tensors  # `train_step` refuses several replicas.


def device_scope(model):
    return model.distribute_strategy.scope() if model.distribute_strategy.num_replicas_in_sync > 1 else nullcontext()


def global_batch(model, batch):
    def gathered(leaf):
        parts = isinstance(leaf, tf.distribute.DistributedValues)
        return model.distribute_strategy.gather(leaf, axis=0) if parts else leaf

    return tf.nest.map_structure(gathered, batch)
