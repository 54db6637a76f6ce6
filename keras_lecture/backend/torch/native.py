"""Tensors that PyTorch's own kernels take."""

import torch

_NATIVE = (torch.float32, torch.float64)


def native(x):
    """Half precision keeps its float32 statistics in the formula; symbolic (meta) tensors have no values.

    `torch.compile` fuses the formulas by itself and stops at what reads a value, as the random kernels do.
    """
    return (
        not torch.compiler.is_compiling() and x.dtype in _NATIVE and x.device.type in ("cpu", "cuda") and x.numel() > 0
    )
