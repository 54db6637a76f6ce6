"""Random masks from a counter: the same on every backend, cheap where random bits are the cost of a layer."""

import math
from typing import Any

from keras import ops

from keras_lecture.backend import accelerate

Tensor = Any

# The multipliers of Wellons' "lowbias32" hash (2018), found by search for the least bias.
FIRST, SECOND = 0x7FEB352D, 0x846CA68B - 2**32


def threshold(rate: float) -> int:
    """The smallest signed 16-bit number that is kept: `rate` in steps of 2⁻¹⁶."""
    return round(rate * 2**16) - 2**15


def drawn_rate(rate: float) -> float:
    """The probability that `random_keep` really drops with."""
    return round(rate * 2**16) / 2**16


def words(key: Tensor, count) -> Tensor:
    """`count` hashed 32-bit words: of their index, the seed `key[0]` and the step `key[1]`. All arithmetic wraps."""
    key = ops.cast(key, "int32")
    offset = _hash(ops.bitwise_xor(_hash(key[0], 0), key[1]), 0)
    salt = _hash(ops.bitwise_xor(offset, FIRST), 0)
    return _hash(ops.arange(count, dtype="int32") + offset, salt)


@accelerate
def random_keep(key: Tensor, shape: tuple, rate: float) -> Tensor:
    """A boolean mask of `shape`, False with probability `rate`; value i reads half i mod 2 of word i // 2."""
    size = math.prod(shape) if all(isinstance(n, int) for n in shape) else ops.prod(ops.stack(list(shape)))
    bits = words(key, (size + 1) // 2)
    # Both halves come out as signed 16-bit numbers.
    halves = ops.stack([ops.right_shift(ops.left_shift(bits, 16), 16), ops.right_shift(bits, 16)], axis=-1)
    return ops.reshape(ops.reshape(halves, (-1,))[:size] >= threshold(rate), shape)


@accelerate
def drop(x: Tensor, key: Tensor, shape: tuple, rate: float, scaled: bool) -> Tensor:
    """`x` with the values dropped that a mask of `shape` (broadcast) drops, the others over 1 − rate if `scaled`."""
    keep = random_keep(key, shape, rate)
    kept = x * (1 / (1 - drawn_rate(rate))) if scaled else x
    return ops.where(keep, kept, ops.zeros_like(x))


def _hash(x, salt):
    """lowbias32 with a salt after its first half: streams of other salts are not shifted copies of this one."""
    x = _fold(x, 16) * FIRST + salt
    x = _fold(x, 15) * SECOND
    return _fold(x, 16)


def _fold(x, places):
    # Shifts of signed numbers repeat the sign; the mask makes them logical.
    return ops.bitwise_xor(x, ops.bitwise_and(ops.right_shift(x, places), 2 ** (32 - places) - 1))
