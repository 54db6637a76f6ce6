"""Data-dependent initialization: unit variance of every layer's output on a batch."""

import collections
import contextlib
import math
from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.replacement import replaced
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import layers, refuse_adapted, weights


def rescale(model: keras.layers.Layer, x: Tensor, *, verbose: int = 1) -> list[dict[str, Any]]:
    """Scales the kernels of a built model so that each layer's output has unit variance on the batch `x`.

    Use it after `initialize`, on a batch of training data as the model will see it: fans take no account of the data,
    pooling, activations and skip connections; this function measures their effect. It takes four to six forward
    passes and a copy of the weights.

        w ← w/σ,    σ = std of Σ wᵢxᵢ over the batch and the units

    σ is measured before the activation and without the bias, layer by layer in the order of execution, with inputs from
    layers already rescaled. The model runs in inference mode, so that dropout is off and batch normalization uses its
    moving averages. Only the kernels change; after an error they have their old values as well.

    Every layer with a kernel is rescaled: dense, convolution of all kinds (of a separable one the pointwise kernel),
    `EinsumDense`, attention, embeddings, custom layers. A shared layer is rescaled at its first call. Recurrent cells
    are not rescaled (they feed back into themselves), nor are layers that `x` does not reach. A kernel stays unchanged,
    with factor 1, if the output does not scale with it, has no variance or is not finite.

    Args:
        model: A built Keras model or layer.
        x: One batch of inputs, as for `model(x)`.
        verbose: `1` shows a progress bar, `0` nothing. Defaults to `1`.

    Returns:
        One record per kernel, in the order of execution: `name` (the path of the kernel), `std_before`, `factor`,
        `std_after`.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2)])
        >>> x = keras.random.normal((100, 4), seed=0)
        >>> records = keras_lecture.initializers.rescale(model, x, verbose=0)
        >>> [round(record["std_after"], 3) for record in records]
        [1.0, 1.0]

    Reference:
        Mishkin and Matas, 2016, arXiv:1511.06422; decks A and E: keep reasonable values. Deviations: the paper first
        draws orthonormal kernels (`initialize(model, keras.initializers.Orthogonal())` does) and repeats the division
        until the variance is within 0.1; the output is linear in the kernel, so that one division is enough.
    """
    checks.instance("rescale", "model", model, keras.layers.Layer, "a Keras model or layer")
    checks.one_of("rescale", "verbose", verbose, (0, 1, False, True))
    if not model.built:
        checks.reject("rescale", "model", "built", model.name, "Call it on a batch, or give it an `Input`, first.")
    if not all(hasattr(leaf, "shape") or isinstance(leaf, int | float) for leaf in keras.tree.flatten(x)):
        kind = "one batch of inputs, an array or a structure of arrays"
        checks.reject("rescale", "x", kind, type(x), "Take the inputs of one batch of it.", TypeError)
    refuse_adapted("rescale", weights(model))
    owners = _owners(model)
    records = []
    progress = keras.utils.Progbar(len(owners), verbose=verbose, unit_name="layer")

    def report(record):
        records.append(record)
        progress.update(len(records))

    # Read here, because inside a mixed-precision layer a variable has half precision.
    values = {id(variable): keras.ops.copy(variable.value) for variable in model.variables}
    with contextlib.ExitStack() as on_error, contextlib.ExitStack() as wrapped:
        for variable in model.variables:
            on_error.callback(_assign, variable, values[id(variable)])
        for layer in layers(model):
            if isinstance(layer, keras.layers.TimeDistributed):
                wrapped.enter_context(replaced([(layer, "call", _folded(layer))]))
            if layer in owners:
                rescaling = _rescaling(layer, *owners[layer], values, report)
                wrapped.enter_context(replaced([(layer, "call", rescaling)]))
        model(x, training=False)
        on_error.pop_all()
    kernels = {id(kernel) for kernel, _ in owners.values()}
    for variable in model.variables:
        if id(variable) not in kernels:
            _assign(variable, values[id(variable)])
    progress.update(len(records), finalize=True)
    return records


def _owners(model) -> dict:
    """The layers to rescale, each with its last kernel, in which its output is linear, and its biases."""
    recurrent = {id(cell) for layer in layers(model) if isinstance(layer, keras.layers.RNN) for cell in layers(layer)}
    owners, biases = {}, collections.defaultdict(list)
    for weight in weights(model):
        if weight.role == "bias":
            biases[id(weight.layer)].append(weight.variable)
        elif weight.role == "kernel" and weight.attribute and id(weight.layer) not in recurrent:
            owners[weight.layer] = weight.variable, biases[id(weight.layer)]
    return owners


def _rescaling(layer, kernel, biases, values, report):
    """The layer's `call`, which rescales the layer's kernel when it first runs."""
    call = layer.call
    used = []

    def rescaling_call(*args, **kwargs):
        if not used:
            used.append(True)
            with contextlib.ExitStack() as linear:
                for bias in biases:
                    linear.callback(_assign, bias, values[id(bias)])
                    _assign(bias, keras.ops.zeros_like(values[id(bias)]))
                if callable(getattr(layer, "activation", None)):
                    linear.enter_context(replaced([(layer, "activation", keras.activations.linear)]))
                report(_rescale_kernel(kernel, values[id(kernel)], lambda: _std(call(*args, **kwargs))))
        # PyTorch would keep the graph of the whole forward pass otherwise.
        return keras.tree.map_structure(keras.ops.stop_gradient, call(*args, **kwargs))

    return rescaling_call


def _rescale_kernel(kernel, original, std) -> dict:
    # The outputs of a float16 layer may overflow: then they are measured with a smaller kernel.
    for shrink in (1.0, 2.0**-8, 2.0**-16):
        _assign(kernel, original * shrink)
        before = std() / shrink
        if math.isfinite(before):
            break
    factor = 1 / before if 0 < before < math.inf else 1.0
    _assign(kernel, original * factor)
    after = std()
    if not abs(after - 1) < 0.05 or not _scales(kernel, original * factor, std):
        _assign(kernel, original)
        factor, after = 1.0, before
    return {"name": kernel.path, "std_before": before, "factor": factor, "std_after": after}


def _scales(kernel, value, std):
    """Whether half of the kernel gives half of the output: an output near 1 that does not scale stays near 1, too."""
    _assign(kernel, value / 2)
    half = std()
    _assign(kernel, value)
    return abs(half - 0.5) < 0.025


def _folded(layer):
    """`TimeDistributed.call` with the time axis folded into the batch.

    Keras calls the inner layer for each time step, and only the first one would be measured.
    """
    call = layer.call

    def folded_call(inputs, training=None, mask=None):
        if mask is not None:
            return call(inputs, training=training, mask=mask)
        batch, time, *rest = inputs.shape
        outputs = layer.layer(keras.ops.reshape(inputs, (batch * time, *rest)), training=training)
        return keras.ops.reshape(outputs, (batch, time, *outputs.shape[1:]))

    return folded_call


def _std(outputs: Tensor) -> float:
    if not keras.ops.is_tensor(outputs):
        return math.nan
    wide = "float64" if keras.backend.standardize_dtype(outputs.dtype) == "float64" else "float32"
    return float(keras.ops.convert_to_numpy(keras.ops.std(keras.ops.cast(outputs, wide))))


def _assign(variable, value):
    """Assigns `value` inside a layer without autocast.

    Inside a mixed-precision layer, PyTorch (Keras 3.15) would assign to the half-precision copy, without effect.
    """
    keras.layers.Lambda(variable.assign, autocast=False, name="assign")(value)
