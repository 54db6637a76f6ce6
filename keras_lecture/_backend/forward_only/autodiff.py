"""Backends without gradients (NumPy, OpenVINO): the package can be imported and predicts, but does not train."""

from contextlib import nullcontext

import keras


def value_and_grad(f):
    return _refuse


def hessian_vector_product(f):
    return _refuse


def compile(f):
    return f


def trace(f, *args):
    f(*args)


def fuse(formula):
    return formula


def _refuse(*args):
    raise NotImplementedError(
        f"The {keras.backend.backend()!r} backend of Keras has no gradients. "
        "Set KERAS_BACKEND to jax, tensorflow or torch before importing keras."
    )


def outside_of_traces():
    return nullcontext()
