"""The tensors that our kernels on PyTorch accept."""

import torch

HALF = (torch.float16, torch.bfloat16)
WHOLE = (torch.float32, torch.float64)


def native(x, types=WHOLE):
    """Whether a kernel may take `x`: a non-empty tensor of these dtypes on a CPU or GPU, outside of any tracing.

    Half precision needs the formula, which keeps the statistics in float32. Meta tensors have no values.
    `torch.compile` fuses the formulas itself, and breaks the graph at code that reads a value, as the random kernels
    do. ONNX can export the operations of the formulas, but not our own gradients.
    """
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return not traced and x.dtype in types and x.device.type in ("cpu", "cuda") and x.numel() > 0
