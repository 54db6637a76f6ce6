"""Differentiation on TensorFlow."""

import tensorflow as tf

_ZERO = tf.UnconnectedGradients.ZERO


def value_and_grad(f):
    def evaluate(weights, *args):
        weights = [tf.convert_to_tensor(w) for w in weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            loss, aux = f(weights, *args)
        return (loss, aux), _dense(tape.gradient(loss, weights, unconnected_gradients=_ZERO))

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
            gradients = _dense(inner.gradient(loss, weights, unconnected_gradients=_ZERO))
        products = outer.gradient(gradients, weights, output_gradients=list(vectors), unconnected_gradients=_ZERO)
        return _dense(products)

    return product


def compile(f):
    return tf.function(f)


def _dense(gradients):
    """An embedding's gradient comes as slices; callers do arithmetic on plain tensors."""
    return [tf.convert_to_tensor(g) for g in gradients]
