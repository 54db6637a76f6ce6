"""Invariants of dropout, noise and augmentation: when they act, and that their random numbers differ."""

from typing import Any

import keras

from keras_lecture._core.listing import listed
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts import random_layers, variables
from keras_lecture.diagnosis._facts.entries import Facts, absent, entry


def of_random_layers(passes: Any) -> Facts:
    """The facts on random layers, from two passes in training mode and two in inference mode."""
    calls = [call for call in passes.training.calls if random_layers.is_judged(call)]
    behaviors = {id(call.layer): random_layers.behavior(call) for call in calls}
    active = [each for each in behaviors.values() if each.call.training]
    idle = [
        each.call.layer.name
        for each in active
        if not each.is_active and not each.repeats and random_layers.strength(each.call.layer) is not None
    ]
    repeating = [each.call.layer.name for each in active if each.repeats]
    facts = {
        "random_layers_act": _verdict(idle, active, "does not change its input in training"),
        "random_numbers_differ": _verdict(repeating, active, "draws the same numbers in each call"),
        "random_numbers_not_compiled": _host_numbers(passes),
        "written_mode_kept": _written_modes(passes),
    }
    for name, kind in (("dropout_only_in_training", "dropout"), ("augmentation_only_in_training", "augmentation")):
        facts[name] = _in_inference(passes, behaviors, kind)
    return facts


def _verdict(names, judged, what):
    if not judged:
        return absent("the model calls no dropout, noise or augmentation layer in training mode")
    detail = f"{listed(names)} {what}" if names else f"{len(judged)} layers judged"
    return entry(not names, names[0] if names else None, detail)


def _in_inference(passes, behaviors, kind):
    """Layers whose random numbers act in inference mode; those that were called so deliberately are minor."""
    calls = [call for call in passes.inference.calls if random_layers.kind(call.layer) == kind]
    found = []
    for call in calls:
        known = behaviors.get(id(call.layer))
        if known is None:
            continue
        ignores = known.differs_in_inference or known.is_mask_in_inference
        told = call.training and (known.differs_in_training or known.differs_between_modes)
        if ignores or told:
            # `Dropout(…)(x, training=True)` is Monte Carlo dropout; an augmented validation has no such use.
            found.append((call.layer.name, told and not ignores and kind == "dropout"))
    if not calls:
        return absent(f"the model calls no {kind} layer")
    found.sort(key=lambda each: each[1])
    names = [name for name, _ in found]
    facts = entry(not found, names[0] if names else None, f"{listed(names)} act in inference mode" if names else "")
    if found and all(deliberate for _, deliberate in found):
        facts["severity"] = "low"
    return facts


def _host_numbers(passes):
    eager = getattr(passes.model, "run_eagerly", False) or keras.backend.backend() not in ("jax", "tensorflow")
    if eager:
        return absent("the training step is not compiled")
    detail = "the forward pass draws numbers from Python's or NumPy's generators" if passes.host_draws else ""
    return entry(not passes.host_draws, None, detail)


def _written_modes(passes):
    """Layers of functional models that were given `training`, and run in the other mode where that matters.

    Keras 3.15 replaces this argument of a functional model's layers by the mode of the whole model; 3.16 keeps it.
    """
    written = variables.written_modes(passes.model)
    if not written:
        return absent("no layer of a functional model was given `training`")
    found = []
    for layer, mode in written:
        modes = (passes.inference if mode else passes.training).modes.get(id(layer), {mode})
        if mode not in modes and any(map(_depends_on_mode, layers(layer))):
            found.append((layer.name, mode))
    names = [f"{name} (training={mode})" for name, mode in found]
    fact = entry(not found, found[0][0] if found else None, f"{listed(names)} run in the other mode" if found else "")
    return fact | ({"severity": "low"} if found else {})


def _depends_on_mode(layer):
    if isinstance(layer, keras.layers.BatchNormalization):
        return layer.trainable
    kind = random_layers.kind(layer)
    return kind == "augmentation" or (kind is not None and random_layers.strength(layer) is not None)
