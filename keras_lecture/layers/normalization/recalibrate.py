"""Exact population statistics for the batch normalization of a trained model."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core import checks, weights
from keras_lecture._core.replacement import replaced
from keras_lecture.layers.normalization._one_pass import Moments, batches, squares
from keras_lecture.layers.normalization.batch_normalization import channel_moments


def recalibrate(
    model: keras.Model, data: Any, *, formula: str = "exact", batch_size: int = 32, verbose: int = 1
) -> int:
    """Recomputes the inference statistics of every batch normalization layer of `model` in one pass over `data`.

    Use it after weights were averaged, fine-tuned or changed by hand, after training with few or tiny batches, and
    wherever validation is worse than training for no other reason. It costs one forward pass.

        μ = Σ B·μ_B / Σ B
        exact:  σ² = Σ B·(σ²_B + (μ_B − μ)²) / Σ B
        slide:  σ² = Σ B·σ²_B / Σ (B−1)

    μ_B, σ²_B the moments of one batch and B its number of values per channel, without masked ones. During the pass,
    batch normalization uses the statistics of the batch, everything else (dropout) runs as at inference, and no
    variable changes. `"exact"` gives the mean and the variance of the layer's inputs, whatever their order and the
    batches; the slide's formula omits the variance of the batch means.

    Args:
        model: A built model with `keras_lecture` or Keras batch normalization layers, at any depth. Frozen layers
            (`trainable=False`) and layers that receive no value that is not masked keep their statistics.
        data: As `x` of `fit`: an array, or a list, tuple or dict of arrays, one for each input of the model; or an
            iterable of batches: a data set, a `PyDataset`, a `DataLoader`, a generator. Batches that are tuples or
            lists are read as `(x, …)`.
        formula: `"exact"`, or `"slide"`. Defaults to `"exact"`.
        batch_size: Size of the batches taken from arrays; use that of training. Defaults to `32`.
        verbose: 1 for a progress bar, 0 for none. Defaults to `1`.

    Returns:
        The number of recalibrated layers.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization()])
        >>> keras_lecture.layers.recalibrate(model, np.array([[1.0], [3.0]]), verbose=0)
        1
        >>> float(model.layers[0].moving_mean[0]), float(model.layers[0].moving_variance[0])
        (2.0, 1.0)

    Reference:
        Ioffe and Szegedy, 2015, arXiv:1502.03167, algorithm 2 (`"slide"`); Wu and Johnson, 2021, arXiv:2105.07576,
        section 3 ("precise batch norm"). Decks A, B, E. Deviation: dropout is off in the pass, as at inference;
        `"exact"` adds the variance of the batch means, and divides by Σ B.
    """
    checks.instance("recalibrate", "model", model, keras.Model, "a Keras model")
    checks.one_of("recalibrate", "formula", formula, ("exact", "slide"))
    checks.whole("recalibrate", "batch_size", batch_size)
    checks.one_of("recalibrate", "verbose", verbose, (0, 1))
    if not model.built:
        checks.reject("recalibrate", "model", "built", model.name, "Call it on a batch, or give it an `Input`, first.")
    layers = _normalizing(model)
    if not layers:
        return 0
    measured = _backend.compile(_measured(model, layers))
    groups = model.trainable_variables, model.non_trainable_variables
    parts, length = _batches(model, data, batch_size)
    bar = keras.utils.Progbar(length, verbose=verbose)
    totals = [Population() for _ in layers]
    done = 0
    for done, inputs in enumerate(parts, start=1):
        # Detached: PyTorch would keep an autograd graph that is never used.
        state = [[ops.stop_gradient(v.value) for v in group] for group in groups]
        for total, calls in zip(totals, measured(*state, inputs), strict=True):
            for moments_of_call in calls:
                total.add(*map(_float64, moments_of_call))
        bar.update(done)
    if not done:
        checks.reject("recalibrate", "data", "at least one batch", data)
    reached = [(layer, total) for layer, total in zip(layers, totals, strict=True) if total.count]
    if not reached:
        checks.reject("recalibrate", "data", "at least one value that is not masked", data)
    for layer, total in reached:
        _write(layer, total.mean, total.variance(formula))
    return len(reached)


class Population(Moments):
    """Mean and variance of values, merged from the moments of each batch."""

    def __init__(self) -> None:
        super().__init__(squares)
        self.within: Any = 0.0
        self.degrees: Any = 0.0

    def add(self, mean: np.ndarray, variance: np.ndarray, count: Any) -> None:
        """Adds a batch; one without values changes nothing, and its moments may be NaN."""
        if count:
            self.merge(count, mean, variance * count)
            self.within = self.within + variance * count
            self.degrees = self.degrees + max(count - 1, 0)

    def variance(self, formula: str) -> np.ndarray:
        """The variance by the formula of `recalibrate`."""
        if formula == "slide":
            return self.within / max(self.degrees, 1)
        return self.scatter / max(self.count, 1)


def _batches(model, data, batch_size):
    """The inputs of the model in batches, as tensors, and the number of batches, None if it is unknown."""
    leaves = keras.tree.flatten(data)
    arrays = [leaf for leaf in leaves if hasattr(leaf, "shape")]
    remedy = "A list, tuple or dict has one array for each input, as `x` of `fit`; pass batches as a generator."
    if not leaves or (len(leaves) > 1 or isinstance(data, list | tuple | dict)) and len(arrays) < len(leaves):
        checks.reject("recalibrate", "data", "arrays, or an iterable of batches", data, remedy)
    if not arrays:
        parts, length = batches(data, batch_size)
        parts = (keras.utils.unpack_x_y_sample_weight(part)[0] for part in parts)
    else:
        inputs = len(getattr(model, "inputs", None) or arrays)
        sizes = {array.shape[0] if array.shape else None for array in arrays}
        if len(arrays) != inputs or len(sizes) > 1 or None in sizes:
            expected = f"arrays of the same length, one for each of the {inputs} inputs"
            checks.reject("recalibrate", "data", expected, [tuple(array.shape) for array in arrays], remedy)
        starts = range(0, *sizes, batch_size)
        parts = (keras.tree.map_structure(lambda x, i=i: x[i : i + batch_size], data) for i in starts)
        length = len(starts)
    return (keras.tree.map_structure(_tensor, part) for part in parts), length


def _tensor(x):
    return x if ops.is_tensor(x) else ops.convert_to_tensor(np.asarray(x))


def _normalizing(model):
    found = [layer for layer in weights.layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    return [layer for layer in found if layer.trainable]


def _measured(model, layers):
    """`f(trainable, non_trainable, inputs)` → for each layer the mean, variance and number of values of its calls."""

    def measure(trainable, rest, inputs):
        calls = [[] for _ in layers]
        recording = [(layer, "call", _recording(layer, found)) for layer, found in zip(layers, calls, strict=True)]
        groups = model.trainable_variables, model.non_trainable_variables
        # Not `stateless_call`, which passes `training` even to a `call` that does not take it.
        with replaced(recording), _backend.scope(groups, (trainable, rest)):
            model(inputs, training=False)
        return calls

    return measure


def _recording(layer, found):
    call = layer.call

    def recording(inputs, training=None, mask=None):
        mean, variance, count = channel_moments(inputs, layer.axis, mask, layer.synchronized)
        found.append((mean, variance, ops.cast(count, mean.dtype)))
        return call(inputs, training=True, mask=mask)

    return recording


def _write(layer, mean, variance):
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)
    if getattr(layer, "moving_stddev", None) is not None:
        # Batch renormalization computes the variance from this variable in the next training step.
        layer.moving_stddev.assign(np.sqrt(variance + layer.epsilon))


def _float64(x):
    return ops.convert_to_numpy(ops.stop_gradient(x)).astype("float64")
