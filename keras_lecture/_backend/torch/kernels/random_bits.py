"""The random numbers of `layers.random_bits` on PyTorch, hashed in place in blocks that fit the cache."""

import math

import keras
import torch

from keras_lecture._backend.torch.native import native

# The words per block: they fit the L2 cache with their scratch, and are enough to pay for launching a kernel.
_BLOCK = 2**16


def random_keep(key, shape, rate):
    if key.device.type != "cpu" or torch.compiler.is_compiling():
        return None
    return _factor(key, shape, rate, 1.0, torch.float32).bool()


def drop(x, key, shape, rate, scaled):
    if not native(x) or x.device.type != "cpu" or key.device.type != "cpu":
        return None
    scale = 1 / (1 - round(rate * 2**16) / 2**16) if scaled else 1.0
    return x * _factor(key, shape, rate, scale, x.dtype)


def normal(key, shape, ops=keras.ops):
    if ops is not keras.ops or key.device.type != "cpu" or torch.compiler.is_compiling():
        return None
    size = math.prod(shape)
    half = (size + 1) // 2
    uniform, numbers = torch.empty(2 * half), torch.empty(2 * half)
    for start, words in _words(key, 2 * half):
        uniform[start : start + len(words)] = words.bitwise_right_shift_(8).bitwise_and_(2**24 - 1)
    radius = torch.add(torch.ones(()), uniform[:half], alpha=-(2.0**-24), out=uniform[:half]).log_().mul_(-2).sqrt_()
    # Scaling by a power of two is exact: one combined factor gives the same numbers as two.
    angle = uniform[half:].mul_(2.0**-24 * 2 * math.pi)
    torch.cos(angle, out=numbers[:half]).mul_(radius)
    torch.mul(angle.sin_(), radius, out=numbers[half:])
    return numbers[:size].view(shape)


def jittered(x, key, stddev, ops):
    if x.dtype != torch.float32 or x.device.type != "cpu":
        return None
    noise = normal(key, x.shape, ops)
    # In place: allocating memory costs as much as the arithmetic.
    return None if noise is None else noise.mul_(stddev).add_(x)


def _factor(key, shape, rate, scale, dtype):
    """`scale` where `layers.random_bits.random_keep` keeps, 0 elsewhere."""
    factor = torch.empty(shape, dtype=dtype)
    flat = factor.view(-1)
    for start, words in _words(key, (len(flat) + 1) // 2):
        part = flat[2 * start : 2 * (start + len(words))]
        # Floats compare and scale faster than booleans; the 16-bit halves are exact in float32.
        part.copy_(words.view(torch.int16)[: len(part)]).ge_(round(rate * 2**16) - 2**15)
        if scale != 1:
            part.mul_(scale)
    return factor


def _words(key, count):
    """Yields the words of `layers.random_bits.words` in blocks, each with the index of its first word."""
    seed, step = (int(value) for value in key.tolist())
    offset = _hashed(_hashed(seed) ^ (step % 2**32))
    salt = torch.tensor(_signed(_hashed(offset ^ 0x7FEB352D)), dtype=torch.int32)
    counter = torch.arange(min(_BLOCK, count), dtype=torch.int32)
    block, scratch = torch.empty_like(counter), torch.empty_like(counter)
    for start in range(0, count, _BLOCK):
        torch.add(counter, _signed((offset + start) % 2**32), out=block)
        torch.add(salt, _fold(block, scratch, 16, 0xFFFF), alpha=0x7FEB352D, out=block)
        _fold(block, scratch, 15, 0x1FFFF).mul_(_signed(0x846CA68B))
        _fold(block, scratch, 16, 0xFFFF)
        yield start, block[: count - start]


def _fold(x, scratch, shift, mask):
    high = torch.bitwise_right_shift(x, shift, out=scratch)
    return x.bitwise_xor_(high.bitwise_and_(mask))


def _hashed(x):
    """The hash of a single Python number."""
    x %= 2**32
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def _signed(x):
    return x - 2**32 if x >= 2**31 else x
