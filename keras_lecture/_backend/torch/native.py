"""Tensors that PyTorch's own kernels take."""

import torch

WHOLE = (torch.float32, torch.float64)


def native(x, types=WHOLE):
    """Half precision keeps its float32 statistics in the formula; symbolic (meta) tensors have no values.

    `torch.compile` fuses the formulas by itself and stops at what reads a value, as the random kernels do. ONNX has
    names for the formulas' operations, but not for gradients of our own.
    """
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return not traced and x.dtype in types and x.device.type in ("cpu", "cuda") and x.numel() > 0
