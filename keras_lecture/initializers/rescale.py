"""Data-dependent initialization: every layer's output gets unit variance on a batch."""

import collections
import contextlib
import math

import keras

from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import layers, weights


def rescale(model, x, *, verbose: int = 1) -> list[dict]:
    """Scales the kernels of a built model so that each layer's output has unit variance on the batch `x`.

    Use it after `initialize`, on a batch of training data as the model will see it: no formula knows the data, the
    pooling, the activations and the skip connections; this measures. It takes three to five forward passes and a copy
    of the weights.

        w ← w/σ,    σ = std of Σ wᵢxᵢ over the batch and the units

    σ is measured before the activation and without the bias, layer after layer in the order in which they run, each on
    inputs that come from layers already rescaled. The model runs in inference mode, so that dropout is off and batch
    normalization uses its moving averages. Everything but the kernels stays as it was; on an error all of it does.

    Every layer with a kernel takes part: dense, convolution of all kinds (of a separable one the pointwise kernel),
    `EinsumDense`, attention, embeddings, a user's own. A layer used several times goes by its first use. Recurrent
    cells do not take part (they feed themselves), nor layers that `x` does not reach. A kernel whose scale the output
    does not follow, or whose output has no variance or is not finite, stays as it was, with factor 1.

    Args:
        model: A built Keras model or layer.
        x: One batch of inputs, what `model(x)` takes.
        verbose: `1` shows a progress bar, `0` nothing. Defaults to `1`.

    Returns:
        One record per kernel, in the order of execution: `name` (the kernel's path), `std_before`, `factor`,
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
        until the variance is within 0.1; the output follows the kernel, so that one is enough.
    """
    checks.instance("rescale", "model", model, keras.layers.Layer, "a Keras model or layer")
    checks.one_of("rescale", "verbose", verbose, (0, 1, False, True))
    if not model.built:
        checks.reject("rescale", "model", "built", model.name, "Call it on a batch, or give it an `Input`, first.")
    owners = _owners(model)
    report = []
    progress = keras.utils.Progbar(len(owners), verbose=verbose, unit_name="layer")

    def tell(record):
        report.append(record)
        progress.update(len(report))

    # Read out here: inside of a layer of mixed precision a variable shows itself in half precision.
    values = {id(variable): keras.ops.copy(variable.value) for variable in model.variables}
    with contextlib.ExitStack() as on_error, contextlib.ExitStack() as wrapped:
        for variable in model.variables:
            on_error.callback(_assign, variable, values[id(variable)])
        for layer in layers(model):
            if isinstance(layer, keras.layers.TimeDistributed):
                wrapped.enter_context(_replaced(layer, "call", _folded(layer)))
            if layer in owners:
                wrapped.enter_context(_replaced(layer, "call", _rescaling(layer, *owners[layer], values, tell)))
        model(x, training=False)
        on_error.pop_all()
    kernels = {id(kernel) for kernel, _ in owners.values()}
    for variable in model.variables:
        if id(variable) not in kernels:
            _assign(variable, values[id(variable)])
    progress.update(len(report), finalize=True)
    return report


def _owners(model) -> dict:
    """The layers that take part, each with its last kernel, which its output follows, and its biases."""
    recurrent = {id(cell) for layer in layers(model) if isinstance(layer, keras.layers.RNN) for cell in layers(layer)}
    owners, biases = {}, collections.defaultdict(list)
    for weight in weights(model):
        if weight.role == "bias":
            biases[id(weight.layer)].append(weight.variable)
        elif weight.role == "kernel" and weight.attribute and id(weight.layer) not in recurrent:
            owners[weight.layer] = weight.variable, biases[id(weight.layer)]
    return owners


def _rescaling(layer, kernel, biases, values, tell):
    """The layer's `call`, which at its first use first rescales the layer's kernel."""
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
                    linear.enter_context(_replaced(layer, "activation", keras.activations.linear))
                tell(_rescale_kernel(kernel, values[id(kernel)], lambda: _std(call(*args, **kwargs))))
        # On PyTorch the graph of the whole pass would be kept otherwise.
        return keras.tree.map_structure(keras.ops.stop_gradient, call(*args, **kwargs))

    return rescaling_call


def _rescale_kernel(kernel, original, std) -> dict:
    # The outputs of a float16 layer may overflow before they are measured.
    for shrink in (1.0, 2.0**-8, 2.0**-16):
        _assign(kernel, original * shrink)
        before = std() / shrink
        if math.isfinite(before):
            break
    factor = 1 / before if 0 < before < math.inf else 1.0
    _assign(kernel, original * factor)
    after = std()
    if not abs(after - 1) < 0.05:
        _assign(kernel, original)
        factor, after = 1.0, before
    return {"name": kernel.path, "std_before": before, "factor": factor, "std_after": after}


def _folded(layer):
    """`TimeDistributed.call` with time as part of the batch: Keras calls the inner layer step by step, and the first
    step alone would be measured."""
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


@contextlib.contextmanager
def _replaced(layer, name: str, value):
    """`layer.name` is `value` for a while: set past the bookkeeping of Keras and PyTorch, which keep what they see."""
    attributes = vars(layer)
    held, previous = name in attributes, attributes.get(name)
    attributes[name] = value
    try:
        yield
    finally:
        if held:
            attributes[name] = previous
        else:
            del attributes[name]


def _assign(variable, value):
    """Inside of a layer of mixed precision PyTorch (Keras 3.15) assigns to the half-precision copy that is seen there,
    in vain; inside of a layer without casting in it, to the variable."""
    keras.layers.Lambda(variable.assign, autocast=False, name="assign")(value)
