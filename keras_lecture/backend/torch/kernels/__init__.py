"""Kernels on PyTorch, which runs `keras.ops` one eager operation at a time."""
