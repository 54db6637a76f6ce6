"""Functions with a kink on PyTorch: its own derivatives are the ones we take everywhere."""

import torch


def absolute(x):
    return torch.abs(x)
