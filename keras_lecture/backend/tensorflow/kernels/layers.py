"""Layers on TensorFlow: fewer passes than the formula's, and pooling that TensorFlow has no kernel for."""

import itertools
import math

import keras
import tensorflow as tf

from keras_lecture.backend.acceleration import formulas
from keras_lecture.backend.tensorflow import xla


def batch_normalize(x, gamma, beta, axis, epsilon):
    """TensorFlow's fused kernel: the formula reads and writes the input half a dozen times."""
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


def max_pool(x, pool_size, strides, padding, data_format):
    """Maxima of strided slices where TensorFlow's own pooling is slow, and for what it does not pool.

    XLA's on a CPU takes twenty times as long, and volumes are pooled in float32 and bfloat16 alone.
    """
    sizes = x.shape[1:-1] if data_format == "channels_last" else x.shape[2:]
    slow = xla.inside() and _on_cpu()
    unknown = len(pool_size) == 3 and x.dtype not in (tf.float32, tf.bfloat16)
    if None in sizes or not (slow or unknown):
        return None
    first = 1 if data_format == "channels_last" else 2
    if padding == "same":
        padding = [_same(*each) for each in zip(sizes, pool_size, strides, strict=True)]
    if any(map(any, padding)):
        outer = [(0, 0)] * first + list(padding) + [(0, 0)] * (2 - first)
        x = tf.pad(x, outer, constant_values=tf.constant(-math.inf, x.dtype))
    axes = range(len(pool_size))
    # All axes in one loop, where XLA makes the loop and an element has few windows to ask.
    together = xla.inside() and math.prod(_reach(*each) for each in zip(pool_size, strides, strict=True)) <= 9
    # The last axis first: the first row and in it the first column then wins a tie, as in a window read row by row.
    for these in [slice(None)] if together else [slice(axis, axis + 1) for axis in reversed(axes)]:
        x = _window_maximum(x, first + axes[these][0], pool_size[these], strides[these])
    return x


def random_keep(key, shape, rate):
    count = tf.reduce_prod(tf.stack([tf.cast(n, "int32") for n in shape]))
    return tf.reshape(_halves(tf.cast(key, "int32"), count) >= round(rate * 2**16) - 2**15, shape)


def drop(x, key, shape, rate, scaled):
    scale = 1 / (1 - round(rate * 2**16) / 2**16) if scaled else 1.0
    # Not `tf.cast(scale, …)`, which makes a float32 of it first.
    scale = tf.constant(scale, x.dtype)
    keep = random_keep(key, shape, rate)
    if any(n == 1 != size for n, size in zip(keep.shape, x.shape, strict=True)):
        # TensorFlow selects slowly by a mask that is spread.
        return x * (tf.cast(keep, x.dtype) * scale)
    # The gradient needs the mask alone: a product would keep numbers, four times as much.
    return tf.where(keep, x * scale, tf.zeros((), x.dtype))


def leak(x, slope):
    @tf.custom_gradient
    def rule(x, slope):
        negative = tf.minimum(x, 0)

        def gradient(upstream):
            extra = x.shape.rank - slope.shape.rank
            alone = [i + extra for i, n in enumerate(slope.shape) if n == 1]
            to_slope = tf.reshape(tf.reduce_sum(upstream * negative, [*range(extra), *alone]), slope.shape)
            return tf.where(x > 0, upstream, upstream * slope), to_slope

        return x + (slope - 1) * negative, gradient

    return rule(x, slope)


def local_response_normalize(x, size, k, alpha, beta, axis):
    """The sum over neighbors as a product with a band matrix, and a gradient of the same cost."""
    if not _on_cpu():
        return None
    last = axis % x.shape.rank == x.shape.rank - 1
    there = [i for i in range(x.shape.rank) if i != axis % x.shape.rank] + [axis % x.shape.rank]
    moved = x if last else tf.transpose(x, there)
    wide = tf.cast(moved, keras.backend.result_type(x.dtype.name, "float32"))
    joined = xla.cluster if xla.pays(wide) else lambda function: function
    # One row a place: a product of images takes longer.
    rows = tf.reshape(wide, (-1, wide.shape[-1]))
    y = _local_response(rows, _band(wide, size), k, alpha, beta, joined)
    y = tf.cast(tf.reshape(y, tf.shape(wide)), x.dtype)
    return y if last else tf.transpose(y, [there.index(i) for i in range(x.shape.rank)])


def place(images, angle, shift, factors, fill_mode, fill_value, ops):
    """TensorFlow's own resampling; other ways to fill mean something else there, and its gradient is not one."""
    if ops is not keras.ops or fill_mode != "constant" or images.dtype != tf.float32 or xla.inside():
        return None
    center = (tf.cast(tf.shape(images)[1:3], tf.float32) - 1) / 2
    cos, sin = tf.cos(angle), tf.sin(angle)
    # The inverse of the change, as rows of a matrix: column and row in the image of a column and row in the result.
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
    """The fused kernel's gradient, differentiable: TensorFlow 2.21's own derivative of it is wrong."""

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


def _local_response(x, band, k, alpha, beta, joined):
    """All but the square and the two products in three functions, one pass each where XLA compiles them."""

    @joined
    def divided(x, total):
        return x * _power(k + alpha * total, beta)

    @joined
    def slope(x, total, upstream):
        s = k + alpha * total
        return upstream * x * _power(s, beta) / s

    @joined
    def pulled(x, total, upstream, along):
        return upstream * _power(k + alpha * total, beta) - (2 * alpha * beta) * x * along

    @tf.custom_gradient
    def rule(x):
        total = tf.matmul(x * x, band)

        def gradient(upstream):
            along = tf.matmul(slope(x, total, upstream), band, transpose_b=True)
            return pulled(x, total, upstream, along)

        return divided(x, total), gradient

    return rule(x)


def _power(s, beta):
    """s^−β; the paper's 0.75 without logarithms."""
    if beta == 0.75:
        root = tf.math.rsqrt(s)
        return root * tf.sqrt(root)
    return s**-beta


def _band(x, size):
    """band[j, c] = 1 where channel j belongs to the window of channel c."""
    channel = tf.range(x.shape[-1])
    distance = channel[:, None] - channel[None, :]
    return tf.cast((distance >= -(size // 2)) & (distance < size - size // 2), x.dtype)


def _window_maximum(x, first, sizes, strides):
    """The maxima of windows over the axes from `first` on; the gradient of each goes to the place it was found at.

    The number of a place within its window has a digit for each axis.
    """
    numbers, *digits = _digits(sizes, strides)
    number = tf.int8 if numbers <= 2**7 else tf.int32
    largest, place = x, None
    for axis in reversed(range(len(sizes))):
        count = (x.shape[first + axis] - sizes[axis]) // strides[axis] + 1
        pieces, places = largest, place
        largest = place = None
        for start in range(sizes[axis]):
            index = [slice(None)] * x.shape.rank
            index[first + axis] = slice(start, start + (count - 1) * strides[axis] + 1, strides[axis])
            piece, found = pieces[tuple(index)], tf.constant(start * digits[axis], number)
            if places is not None:
                found += places[tuple(index)]
            if largest is None:
                largest, place = piece, tf.broadcast_to(found, tf.shape(piece))
            else:
                # `tf.maximum` would share the gradient of a tie; a NaN must win.
                wins = (piece > largest) | (piece != piece)
                largest, place = tf.where(wins, piece, largest), tf.where(wins, found, place)

    @tf.custom_gradient
    def rule(x):
        return tf.stop_gradient(largest), lambda upstream: _spread(upstream, place, x, first, sizes, strides)

    return rule(x)


def _spread(upstream, place, x, first, sizes, strides):
    """The gradient of `_window_maximum`, which XLA makes one loop of: each element asks all windows that reach it."""
    rank, lengths = x.shape.rank, x.shape[first : first + len(sizes)]
    _, *digits = _digits(sizes, strides)
    reach = [_reach(*each) for each in zip(sizes, strides, strict=True)]
    # x as blocks of one stride each: (blocks, stride) for each axis. A block starts one window, if there is one.
    blocks = [-(-length // stride) for length, stride in zip(lengths, strides, strict=True)]
    around, own = [[0, 0]] * first, tf.zeros((), place.dtype)
    for axis, (count, stride) in enumerate(zip(blocks, strides, strict=True)):
        around.append([reach[axis] - 1, count - place.shape[first + axis]])
        across = [stride] + [1] * (2 * (len(sizes) - 1 - axis) + rank - first - len(sizes))
        own += tf.reshape(tf.cast(tf.range(stride) * digits[axis], place.dtype), across)
    around += [[0, 0]] * (rank - len(around))
    value, chosen = tf.pad(upstream, around), tf.pad(place, around, constant_values=tf.constant(-1, place.dtype))
    total = tf.zeros((), value.dtype)
    # `back`: so many windows before the block's own.
    for back in itertools.product(*map(range, reach)):
        index, ahead = [slice(None)] * first, 0
        for axis, n in enumerate(back):
            start = reach[axis] - 1 - n
            index += [slice(start, start + blocks[axis]), None]
            ahead += n * strides[axis] * digits[axis]
        here = chosen[tuple(index)] == own + tf.constant(ahead, place.dtype)
        total += tf.where(here, value[tuple(index)], tf.zeros((), value.dtype))
    shape = tf.shape(x)
    whole = [count * stride for count, stride in zip(blocks, strides, strict=True)]
    total = tf.reshape(total, tf.concat([shape[:first], whole, shape[first + len(sizes) :]], 0))
    return total[(slice(None),) * first + tuple(slice(length) for length in lengths)]


def _reach(size, stride):
    """How many windows an element can lie in."""
    return -(-size // stride)


def _digits(sizes, strides):
    """How many numbers places have, also behind a window's end, and what one step along each axis adds to a number."""
    digits = [1]
    for size, stride in zip(sizes[::-1], strides[::-1], strict=True):
        digits.insert(0, digits[0] * _reach(size, stride) * stride)
    return digits


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


def _fold(x, places, mask):
    return tf.bitwise.bitwise_xor(x, tf.bitwise.bitwise_and(tf.bitwise.right_shift(x, places), mask))


def _same(n, size, stride):
    places = max((-(-n // stride) - 1) * stride + size - n, 0)
    return places // 2, places - places // 2


def _on_cpu():
    return not tf.config.list_logical_devices("GPU")
