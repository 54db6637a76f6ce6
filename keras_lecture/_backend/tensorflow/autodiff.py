"""Differentiation on TensorFlow."""

import functools

import keras
import tensorflow as tf

from keras_lecture._backend.tensorflow import xla
from keras_lecture._backend.tensorflow.kernels.training import dense

_ZERO = tf.UnconnectedGradients.ZERO


def value_and_grad(f):
    def evaluate(weights, *args):
        weights = [tf.convert_to_tensor(w) for w in weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            loss, aux = f(weights, *args)
        return (loss, aux), dense(tape.gradient(loss, weights, unconnected_gradients=_ZERO))

    return evaluate


def hessian_vector_product(f):
    def product(weights, vectors, *args):
        weights = [tf.convert_to_tensor(w) for w in weights]
        # Reverse over reverse: ForwardAccumulator does not pass through `tf.while_loop`.
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(weights)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(weights)
                loss, _ = f(weights, *args)
            gradients = dense(inner.gradient(loss, weights, unconnected_gradients=_ZERO))
        products = outer.gradient(gradients, weights, output_gradients=list(vectors), unconnected_gradients=_ZERO)
        return dense(products)

    return product


def compile(f):
    return tf.function(f)


def trace(f, *args):
    tf.function(f).get_concrete_function(*args)


def fuse(formula):
    """`formula(*tensors, **options)` as one XLA cluster forward and one backward.

    A TensorFlow graph runs one operation at a time, each with a full-size result, and stores the intermediates for the
    backward pass. Here only the arguments are stored: the backward cluster recomputes the formula together with its
    gradient, in registers. Small tensors use single operations.
    """

    @functools.wraps(formula)
    @tf.autograph.experimental.do_not_convert
    def fused(*tensors, **options):
        if any(isinstance(t, keras.KerasTensor) for t in tensors) or not xla.pays(*tensors):
            return formula(*tensors, **options)
        tensors = [tf.convert_to_tensor(t) for t in tensors]
        # A trace may be relaxed to an unknown batch size only: formulas read the rank and the number of classes.
        signature = tuple((t.dtype, t.shape.rank, tuple(t.shape)[1:] if t.shape.rank else None) for t in tensors)
        forward, backward = _clusters(formula, tuple(sorted(options.items())), signature)

        @tf.custom_gradient
        def run(*tensors):
            def gradients(upstream):
                # One cluster for each argument, so that the graph drops those whose gradient is not used.
                return [
                    backward(position, upstream, *tensors) if tensor.dtype.is_floating else None
                    for position, tensor in enumerate(tensors)
                ]

            return forward(*tensors), gradients

        return run(*tensors)

    return fused


@functools.cache
def _clusters(formula, options, signature):
    compiled = functools.partial(xla.cluster, reduce_retracing=True)
    formula = functools.partial(formula, **dict(options))

    @compiled
    def backward(position, upstream, *tensors):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors[position])
            result = formula(*tensors)
        return tape.gradient(result, tensors[position], upstream, unconnected_gradients=_ZERO)

    return compiled(formula), backward


def outside_of_traces():
    return tf.init_scope()
