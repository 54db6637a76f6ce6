"""The relative size of the optimizer's next step, found by taking it and going back."""

from typing import Any

import keras
from keras import ops

from keras_lecture import _backend
from keras_lecture._core.objective import loss_on


def next_updates(model: keras.Model, batch: tuple[Any, Any, Any], training: bool) -> dict[str, float]:
    """`{path: ‖Δw‖/‖w‖}` of the next step on this batch; empty before the first step of the optimizer.

    A search evaluates the loss again and takes no step of its own: empty as well.
    """
    optimizer = model.optimizer
    if not isinstance(optimizer, keras.optimizers.Optimizer) or not optimizer.built or hasattr(optimizer, "bind"):
        return {}
    variables = list(model.trainable_variables)
    if int(ops.convert_to_numpy(optimizer.iterations)) == 0 or not variables:
        return {}
    others = [ops.convert_to_tensor(v) for v in model.non_trainable_variables]
    loss = loss_on(model, batch, others, training=training)
    _, gradients = _backend.value_and_grad(loss)([ops.convert_to_tensor(v) for v in variables])
    scale = optimizer.scale_loss(1.0)
    everything = [*variables, *optimizer.variables]
    # Copies: on PyTorch and TensorFlow the step changes the variables in place.
    before = [ops.copy(v.value) for v in everything]
    try:
        optimizer.apply([g * ops.cast(scale, g.dtype) for g in gradients], variables)
        after = [ops.copy(v.value) for v in variables]
    finally:
        for variable, value in zip(everything, before, strict=True):
            variable.assign(value)
    return {v.path: _ratio(old, new) for v, old, new in zip(variables, before, after, strict=False)}


def _ratio(old, new):
    old, new = (ops.convert_to_numpy(ops.cast(value, "float32")).astype("float64") for value in (old, new))
    norm = float((old**2).sum() ** 0.5)
    return float(((new - old) ** 2).sum() ** 0.5) / norm if norm else float("inf") if (new != old).any() else 0.0
