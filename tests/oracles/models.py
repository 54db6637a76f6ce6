"""Networks computed layer by layer with PyTorch's functions, channels first, from weights in the order of layers.

Imports nothing from keras_lecture.
"""

import torch
from oracles.blocks import convolution, tensor
from torch.nn import functional


class Weights:
    """A list of kernels and biases, consumed in pairs."""

    def __init__(self, arrays):
        self.arrays = list(arrays)

    def pair(self):
        return self.arrays.pop(0), self.arrays.pop(0)

    def dense(self, x):
        kernel, bias = self.pair()
        return x @ tensor(kernel) + tensor(bias)

    def convolution(self, x, stride=1):
        kernel, bias = self.pair()
        return convolution(x, kernel, stride, bias=bias)

    def unpadded(self, x, stride=1, groups=1, around=0):
        kernel, bias = self.pair()
        weight = tensor(kernel).permute(3, 2, 0, 1)
        return functional.conv2d(x, weight, tensor(bias), stride, around, groups=groups)


def flat(x):
    """Flattens like Keras with channels last."""
    return x.movedim(1, -1).flatten(1)


def mlp(x, w):
    while len(w.arrays) > 2:
        x = torch.tanh(w.dense(x))
    return w.dense(x)


def all_conv(x, w):
    for _ in range(2):
        for stride in (1, 1, 2):
            x = torch.relu(w.convolution(x, stride))
    x = torch.relu(w.unpadded(x))
    x = torch.relu(w.convolution(x))
    return w.convolution(x).mean((2, 3))


def vgg(x, w, counts):
    for count in counts:
        for _ in range(count):
            x = torch.relu(w.convolution(x))
        x = functional.max_pool2d(x, 2)
    x = flat(x)
    return w.dense(torch.relu(w.dense(torch.relu(w.dense(x)))))


def alexnet(x, w):
    """The small form; PyTorch divides α by the size."""

    def respond(x):
        return functional.max_pool2d(functional.local_response_norm(x, 5, 5e-4, 0.75, 2.0), 3, 2)

    x = respond(torch.relu(w.convolution(x)))
    x = respond(torch.relu(w.unpadded(x, groups=2, around=2)))
    x = torch.relu(w.unpadded(x, around=1))
    x = torch.relu(w.unpadded(x, groups=2, around=1))
    x = functional.max_pool2d(torch.relu(w.unpadded(x, groups=2, around=1)), 3, 2)
    x = flat(x)
    return w.dense(torch.relu(w.dense(torch.relu(w.dense(x)))))
