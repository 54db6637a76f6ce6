"""Backends without gradients have no kernels; the formulas run."""

KERNELS = {}
