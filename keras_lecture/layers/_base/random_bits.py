"""Counter-based random numbers: identical on every backend, and cheap for layers whose main cost is drawing them."""

import math
from typing import Any

from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core.types import Tensor

# The multipliers of Wellons' "lowbias32" hash (2018), found by search for the least bias.
FIRST, SECOND = 0x7FEB352D, 0x846CA68B - 2**32

# The rates that a layer may drop with: what is nearer to 1 would be rounded to it, and nothing kept.
RATES = "[0, 0.99999]"


def threshold(rate: float) -> int:
    """The smallest signed 16-bit number that `random_keep` keeps; `rate` is rounded to a multiple of 2⁻¹⁶."""
    return round(rate * 2**16) - 2**15


def drawn_rate(rate: float) -> float:
    """The probability with which `random_keep` drops: `rate` rounded to a multiple of 2⁻¹⁶."""
    return round(rate * 2**16) / 2**16


def words(key: Tensor, count: Tensor, ops: Any = ops) -> Tensor:
    """`count` 32-bit words: hashes of their index, the seed `key[0]` and the step `key[1]`. All arithmetic wraps.

    `ops`, here and below, is the module of operations: in a data pipeline it is not that of Keras's backend.
    """
    key = ops.cast(key, "int32")
    offset = _hash(ops.bitwise_xor(_hash(key[0], 0, ops), key[1]), 0, ops)
    salt = _hash(ops.bitwise_xor(offset, FIRST), 0, ops)
    return _hash(ops.arange(count, dtype="int32") + offset, salt, ops)


def uniform(key: Tensor, shape: tuple, ops: Any = ops) -> Tensor:
    """Uniform numbers in [0, 1), multiples of 2⁻²⁴, identical bit by bit on every backend."""
    bits = ops.bitwise_and(ops.right_shift(words(key, _size(shape, ops), ops), 8), 2**24 - 1)
    return ops.reshape(ops.cast(bits, "float32") * 2.0**-24, shape)


@accelerate
def normal(key: Tensor, shape: tuple, ops: Any = ops) -> Tensor:
    """Standard normal numbers, two from each pair of uniform ones (Box and Muller, 1958); all within ±5.8."""
    size = _size(shape, ops)
    half = (size + 1) // 2
    u = uniform(key, (2 * half,), ops)
    # 1 − u is in (0, 1]: its logarithm is finite.
    radius = ops.sqrt(-2.0 * ops.log(1.0 - u[:half]))
    angle = (2 * math.pi) * u[half:]
    return ops.reshape(ops.concatenate([radius * ops.cos(angle), radius * ops.sin(angle)])[:size], shape)


@accelerate
def random_keep(key: Tensor, shape: tuple, rate: float) -> Tensor:
    """A boolean mask of `shape`, False with probability `rate`; element i uses half i mod 2 of word i // 2."""
    size = _size(shape, ops)
    bits = words(key, (size + 1) // 2)
    # Both halves are signed 16-bit numbers.
    halves = ops.stack([ops.right_shift(ops.left_shift(bits, 16), 16), ops.right_shift(bits, 16)], axis=-1)
    return ops.reshape(ops.reshape(halves, (-1,))[:size] >= threshold(rate), shape)


@accelerate
def drop(x: Tensor, key: Tensor, shape: tuple, rate: float, scaled: bool) -> Tensor:
    """`x`, zero where a random mask of `shape` (broadcast) is False, elsewhere divided by 1 − rate if `scaled`."""
    keep = random_keep(key, shape, rate)
    kept = x * (1 / (1 - drawn_rate(rate))) if scaled else x
    return ops.where(keep, kept, ops.zeros_like(x))


def _size(shape, ops):
    return math.prod(shape) if all(isinstance(n, int) for n in shape) else ops.prod(ops.stack(list(shape)))


def _hash(x, salt, ops):
    """lowbias32 with a salt added halfway, so that streams with different salts are not shifted copies."""
    x = _fold(x, 16, ops) * FIRST + salt
    x = _fold(x, 15, ops) * SECOND
    return _fold(x, 16, ops)


def _fold(x, bits, ops):
    # A right shift of a signed number replicates the sign; the mask makes it logical.
    return ops.bitwise_xor(x, ops.bitwise_and(ops.right_shift(x, bits), 2 ** (32 - bits) - 1))
