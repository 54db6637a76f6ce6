"""Differentiation on PyTorch."""

from contextlib import nullcontext

import keras
import torch


def value_and_grad(f):
    def evaluate(weights, *args):
        with torch.enable_grad():
            weights = _leaves(weights)
            loss, aux = f(weights, *args)
            gradients = _gradients(loss, weights)
        return (loss.detach(), _detached(aux)), [g.detach() for g in gradients]

    return evaluate


def hessian_vector_product(f):
    def product(weights, vectors, *args):
        with torch.enable_grad():
            weights = _leaves(weights)
            loss, _ = f(weights, *args)
            gradients = _gradients(loss, weights, create_graph=True)
            slope = sum((g * v).sum() for g, v in zip(gradients, vectors, strict=True))
            return [p.detach() for p in _gradients(slope, weights)]

    return product


def compile(f):
    # Without a graph: its intermediate results would stay in memory as long as the function's value.
    return torch.no_grad()(f)


def trace(f, *args):
    with torch.no_grad():
        f(*args)


def fuse(formula):
    return formula  # PyTorch runs eagerly; the important formulas have a kernel instead.


def _leaves(weights):
    return [w.detach().requires_grad_() for w in weights]


def _gradients(loss, weights, create_graph=False):
    # A loss without a graph (a constant, the gradient of a linear function) has gradient 0; autograd would raise.
    if not loss.requires_grad:
        return [torch.zeros_like(w) for w in weights]
    gradients = torch.autograd.grad(loss, weights, create_graph=create_graph, allow_unused=True)
    # Autograd returns a known zero as a tensor without memory, which NumPy cannot read.
    return [
        torch.zeros_like(w) if g is None or g._is_zerotensor() else g for g, w in zip(gradients, weights, strict=True)
    ]


def _detached(value):
    # Plain tuples and lists by hand: `keras.tree` on PyTorch takes longer than a small network's forward pass.
    if type(value) in (tuple, list):
        return type(value)(map(_detached, value))
    return _leaf_detached(value) if isinstance(value, torch.Tensor) else keras.tree.map_structure(_leaf_detached, value)


def _leaf_detached(value):
    if not isinstance(value, torch.Tensor):
        return value
    detached = value.detach()
    if hasattr(value, "_keras_mask"):
        # Keras 3.15 stores the mask on the tensor itself, where the metrics look for it.
        detached._keras_mask = value._keras_mask
    return detached


def outside_of_traces():
    return nullcontext()
