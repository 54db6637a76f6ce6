"""Facts about dropout, noise and augmentation: active in training, inactive in inference, new numbers in each step.

A layer that a pass called is called again on the same inputs, so that its random numbers are all that can differ.
"""

import dataclasses
import inspect
from typing import Any

import keras

from keras_lecture import _backend
from keras_lecture import layers as ours
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts import recorded_pass
from keras_lecture.diagnosis._facts.batches import copied
from keras_lecture.diagnosis._facts.recorded_pass import Call, RecordingScope, same, same_outputs

_DROPOUT = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    ours.Dropout,
    ours.DropConnect,
    ours.StochasticDepth,
)
_MIXED = ("AugMix", "CutMix", "MixUp", "RandAugment")
_NAMES = [name for name in dir(keras.layers) if name.startswith("Random") or name in _MIXED]
_AUGMENTATION = (
    *[getattr(keras.layers, name) for name in _NAMES],
    ours.RandomCropFlip,
    ours.RandomAffine,
    ours.Jitter,
    ours.PCAColor,
)
# The attributes by which layers name how often or how strongly they act.
_STRENGTHS = ("rate", "drop_rate", "drop_prob", "dropout_rate", "prob", "probability", "p", "stddev", "std", "factor")
_DRAWS = 8


def kind(layer: keras.layers.Layer) -> str | None:
    """`"dropout"` (or noise), `"augmentation"`, or `None`, by class; of a leaf layer also by the name of its class."""
    if isinstance(layer, _DROPOUT):
        return "dropout"
    if isinstance(layer, _AUGMENTATION):
        return "augmentation"
    name = type(layer).__name__
    if isinstance(layer, keras.Model) or len(layers(layer)) > 1:
        return None
    if "Drop" in name or "Noise" in name:
        return "dropout"
    return "augmentation" if "Random" in name else None


@dataclasses.dataclass
class Behavior:
    """The effect of a random layer on one input in both modes."""

    call: Call
    draws_in_training: bool
    differs_in_training: bool
    differs_between_modes: bool
    differs_in_inference: bool
    is_mask_in_inference: bool
    is_identity_in_training: bool

    @property
    def is_active(self) -> bool:
        """Whether it changes its input in training, in this draw or by drawing numbers."""
        changes = self.differs_between_modes and not self.is_identity_in_training
        return self.differs_in_training or self.draws_in_training or changes

    @property
    def repeats(self) -> bool:
        """Whether it acts, but by the same numbers in each call."""
        changes = self.differs_between_modes and not self.is_identity_in_training
        acts = changes or (self.is_mask_in_inference and not self.is_identity_in_training)
        return acts and not (self.differs_in_training or self.draws_in_training)


def behavior(call: Call) -> Behavior:
    """Calls the layer again in both modes; no state outside of the block of the caller's scope changes."""
    scope = RecordingScope()
    with scope:
        before = _generators(scope)
        training = [_again(call, training=True)]
        differs = False
        while not differs and len(training) < _DRAWS:
            training.append(_again(call, training=True))
            differs = not same_outputs(training[0], training[-1])
        draws = not _equal(before, _generators(scope))
        inference = [_again(call, training=False) for _ in range(4)]
    return Behavior(
        call,
        draws,
        differs,
        not same_outputs(training[0], inference[0]),
        any(not same_outputs(inference[0], each) for each in inference[1:]),
        strength(call.layer) is not None and _is_mask(call, inference[0]),
        _is_identity(call, training[0]),
    )


def strength(layer: keras.layers.Layer) -> float | None:
    """The rate or spread of a random layer; `None` if it has no such attribute or if it is 0."""
    for name in _STRENGTHS:
        value = getattr(layer, name, None)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
    return None


def is_judged(call: Call) -> bool:
    """Whether the layer is Keras's, ours or derived from one, or, known by name alone, keeps the shape of its input."""
    if isinstance(call.layer, (*_DROPOUT, *_AUGMENTATION)):
        return True
    inputs, outputs = recorded_pass.arrays((call.args, call.kwargs)), recorded_pass.arrays(call.outputs)
    return len(outputs) == 1 and any(each.shape == outputs[0].shape for each in inputs[:1])


def _again(call, *, training):
    kwargs = dict(call.kwargs)
    kwargs.pop("training", None)
    parameters = inspect.signature(call.layer.call).parameters
    takes = "training" in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return call.layer(*copied(call.args), **kwargs, **({"training": training} if takes else {}))


def _generators(scope):
    """The states of all random generators: those of the framework and the host, and the seeds assigned in the scope."""
    seeds = [recorded_pass.array(scope.get_current_value(variable)) for variable in scope.assigned.values()]
    return [*map(recorded_pass.array, _backend.generators()), *seeds], recorded_pass.global_random_state()


def _equal(before, after):
    (first, hosts), (second, other_hosts) = before, after
    return len(first) == len(second) and all(map(same, first, second)) and hosts == other_hosts


def _is_identity(call, outputs):
    inputs, outputs = recorded_pass.arrays((call.args, call.kwargs)), recorded_pass.arrays(outputs)
    return len(outputs) == 1 and bool(inputs) and same(inputs[0], outputs[0])


def _is_mask(call: Call, outputs: Any) -> bool:
    """Whether the outputs are the input with some values at zero and the others scaled by one factor."""
    inputs, outputs = recorded_pass.arrays((call.args, call.kwargs)), recorded_pass.arrays(outputs)
    if len(outputs) != 1 or not inputs or inputs[0].shape != outputs[0].shape or inputs[0].dtype.kind != "f":
        return False
    present = inputs[0] != 0
    kept = present & (outputs[0] != 0)
    if not (present & ~kept).any() or not kept.any():
        return False
    ratios = outputs[0][kept] / inputs[0][kept]
    return bool((abs(ratios - ratios[0]) <= recorded_pass.epsilon("bfloat16") * abs(ratios[0])).all())
