"""Layers on TensorFlow, in fewer passes over memory than the formula."""

import math

import keras
import tensorflow as tf

from keras_lecture._backend.acceleration import formulas
from keras_lecture._backend.tensorflow import xla


def batch_normalize(x, gamma, beta, axis, epsilon):
    """TensorFlow's fused kernel: it makes `fit` of a small CNN 15 % faster (docs/benchmarks/layers.md)."""
    channels = x.shape[-1]
    if axis % x.shape.rank != x.shape.rank - 1 or x.dtype != tf.float32 or xla.inside() or not _on_cpu():
        return None
    scale = tf.ones(channels) if gamma is None else tf.convert_to_tensor(gamma)
    offset = tf.zeros(channels) if beta is None else tf.convert_to_tensor(beta)

    @tf.custom_gradient
    def rule(rows, scale, offset):
        y, mean, variance, *saved = tf.raw_ops.FusedBatchNormV3(
            x=rows, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon
        )
        return (y, mean, variance), lambda upstream, *_: _batch_gradient(upstream, rows, scale, saved, epsilon)

    y, mean, variance = rule(tf.reshape(x, (-1, 1, 1, channels)), scale, offset)
    count = tf.cast(tf.size(x) // channels, tf.float32)
    # The kernel's variance has divisor n − 1.
    return tf.reshape(y, tf.shape(x)), tf.stop_gradient(mean), tf.stop_gradient(variance * ((count - 1) / count))


def total_over_devices(tensors):
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def max_pool(x, pool_size, strides, padding, data_format):
    """TensorFlow's own pooling, unless there is a NaN or infinity, which it hides; not measured against the formula.

    A sum detects these; if it overflows, finite values take the formula too, which is right for all. XLA compiles the
    formula to faster code than the pooling operation.
    """
    known = (tf.float32, tf.bfloat16) if len(pool_size) == 3 else (tf.float64, tf.float32, tf.bfloat16, tf.float16)
    if x.dtype not in known or xla.inside():
        return None

    def native():
        if padding == "same":
            return keras.ops.max_pool(x, pool_size, strides, "same", data_format)
        outer = [(0, 0), *padding, (0, 0)] if data_format == "channels_last" else [(0, 0), (0, 0), *padding]
        padded = tf.pad(x, outer, constant_values=tf.constant(-math.inf, x.dtype)) if any(map(any, padding)) else x
        return keras.ops.max_pool(padded, pool_size, strides, "valid", data_format)

    def formula():
        return formulas["layers.max_pool"](x, pool_size, strides, padding, data_format)

    return tf.cond(tf.math.is_finite(tf.reduce_sum(tf.stop_gradient(x))), native, formula)


def random_keep(key, shape, rate):
    count = tf.reduce_prod(tf.stack([tf.cast(n, "int32") for n in shape]))
    return tf.reshape(_halves(tf.cast(key, "int32"), count) >= round(rate * 2**16) - 2**15, shape)


def drop(x, key, shape, rate, scaled):
    """Keras's dropout takes 1.5 times as long, under XLA 150 times (docs/benchmarks/layers.md)."""
    scale = 1 / (1 - round(rate * 2**16) / 2**16) if scaled else 1.0
    # Not `tf.cast(scale, …)`, which rounds it to float32 first.
    scale = tf.constant(scale, x.dtype)
    keep = random_keep(key, shape, rate)
    if any(n == 1 != size for n, size in zip(keep.shape, x.shape, strict=True)):
        # `tf.where` is slow with a broadcast mask.
        return x * (tf.cast(keep, x.dtype) * scale)
    # The gradient stores only the boolean mask: a product would store floats, four times as much.
    return tf.where(keep, x * scale, tf.zeros((), x.dtype))


def refuse(condition, message):
    """An assertion in the graph, if the condition is a tensor."""
    if not tf.is_tensor(condition):
        return None
    tf.debugging.Assert(tf.logical_not(condition), [message])
    return True


def place(images, angle, shift, factors, fill_mode, fill_value, ops):
    """TensorFlow's own resampling, with the formula's gradient; other fill modes mean something else there."""
    if ops is not keras.ops or fill_mode != "constant" or images.dtype != tf.float32 or xla.inside():
        return None
    center = (tf.cast(tf.shape(images)[1:3], tf.float32) - 1) / 2
    cos, sin = tf.cos(angle), tf.sin(angle)
    # The inverse transformation, as rows of a matrix: from column and row in the result to column and row in the image.
    down, right = tf.unstack(center + shift, axis=1)
    tall, wide = tf.unstack(factors, axis=1)
    column = [cos / wide, -sin / wide, center[1] - (cos * right - sin * down) / wide]
    row = [sin / tall, cos / tall, center[0] - (sin * right + cos * down) / tall]
    zero = tf.zeros_like(angle)

    @tf.custom_gradient
    def rule(images):
        y = tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=tf.stack([*column, *row, zero, zero], axis=1),
            output_shape=tf.shape(images)[1:3],
            fill_value=fill_value,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )

        def gradient(upstream):
            with tf.GradientTape() as tape:
                tape.watch(images)
                result = formulas["layers.place"](images, angle, shift, factors, fill_mode, fill_value, ops)
            return tape.gradient(result, images, upstream)

        return tf.ensure_shape(y, images.shape), gradient

    return rule(images)


def _batch_gradient(upstream, rows, scale, saved, epsilon):
    """The fused kernel's gradient with a correct derivative; TensorFlow 2.21's own is wrong."""

    def formula(upstream, rows, scale):
        with tf.GradientTape() as tape:
            tape.watch((rows, scale))
            mean, variance = tf.nn.moments(rows, (0, 1, 2))
            y = (rows - mean) * (tf.math.rsqrt(variance + epsilon) * scale)
        return *tape.gradient(y, (rows, scale), upstream), tf.reduce_sum(upstream, (0, 1, 2))

    @tf.custom_gradient
    def rule(*arguments):
        upstream, rows, scale = arguments
        gradients = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=upstream,
            x=rows,
            scale=scale,
            **{f"reserve_space_{i}": tensor for i, tensor in enumerate(saved, start=1)},
            epsilon=epsilon,
        )[:3]

        def second(*directions):
            with tf.GradientTape() as tape:
                tape.watch(arguments)
                first = formula(*arguments)
            return tape.gradient(first, arguments, directions)

        return gradients, second

    return rule(upstream, rows, scale)


def _halves(key, count):
    """The first `count` signed 16-bit halves of the hashed words, without a copy."""
    offset = _hash(tf.bitwise.bitwise_xor(_hash(key[0], 0), key[1]), 0)
    salt = _hash(tf.bitwise.bitwise_xor(offset, 0x7FEB352D), 0)
    words = _hash(tf.range((count + 1) // 2) + offset, salt)
    return tf.reshape(tf.bitcast(words, tf.int16), (-1,))[:count]


def _hash(x, salt):
    x = _fold(x, 16, 0xFFFF) * 0x7FEB352D + salt
    x = _fold(x, 15, 0x1FFFF) * (0x846CA68B - 2**32)
    return _fold(x, 16, 0xFFFF)


def _fold(x, shift, mask):
    return tf.bitwise.bitwise_xor(x, tf.bitwise.bitwise_and(tf.bitwise.right_shift(x, shift), mask))


def _on_cpu():
    return not tf.config.list_logical_devices("GPU")
