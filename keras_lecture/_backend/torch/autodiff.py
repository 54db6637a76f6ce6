"""Differentiation on PyTorch."""

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
    return f


def fuse(formula):
    return formula  # Eager PyTorch has no compiler to call; the formulas that matter have a kernel instead.


def _leaves(weights):
    return [w.detach().requires_grad_() for w in weights]


def _gradients(loss, weights, create_graph=False):
    # A loss without any graph (a constant, a linear function's gradient) has gradient zero, which autograd refuses.
    if not loss.requires_grad:
        return [torch.zeros_like(w) for w in weights]
    gradients = torch.autograd.grad(loss, weights, create_graph=create_graph, allow_unused=True)
    # A derivative that autograd knows to be zero comes without memory behind it, and NumPy cannot read it.
    return [
        torch.zeros_like(w) if g is None or g._is_zerotensor() else g for g, w in zip(gradients, weights, strict=True)
    ]


def _detached(value):
    # By hand where that is all: `keras.tree` on PyTorch takes longer than a small network's forward pass.
    if type(value) in (tuple, list):
        return type(value)(map(_detached, value))
    return _leaf_detached(value) if isinstance(value, torch.Tensor) else keras.tree.map_structure(_leaf_detached, value)


def _leaf_detached(value):
    if not isinstance(value, torch.Tensor):
        return value
    detached = value.detach()
    if hasattr(value, "_keras_mask"):
        # Keras 3.15 hangs a mask on the tensor itself, where the metrics look for it.
        detached._keras_mask = value._keras_mask
    return detached
