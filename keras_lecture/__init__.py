"""The training methods of five deep-learning lectures, for Keras 3 on TensorFlow, PyTorch and JAX."""

from keras_lecture._command_line import is_running

# The program selects a framework before Keras is imported, and imports these itself.
if not is_running():
    from keras_lecture import (
        activations,
        callbacks,
        constraints,
        data,
        diagnosis,
        initializers,
        layers,
        losses,
        models,
        optimizers,
        regularizers,
    )

__version__ = "0.1.0"

__all__ = [
    "activations",
    "callbacks",
    "constraints",
    "data",
    "diagnosis",
    "initializers",
    "layers",
    "losses",
    "models",
    "optimizers",
    "regularizers",
]
