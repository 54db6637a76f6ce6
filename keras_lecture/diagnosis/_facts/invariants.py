"""Invariants: does the run do what was written? The section `invariants` of a record.

    {name: {"holds": True | False | None, "where": str | None, "detail": str, …}}

`where` is the first layer or variable concerned. `None` under `holds` means that the invariant could not be judged;
`detail` says why; `"absent": True` says that the run has no such part. An entry may have a lower `"severity"` than its
rule, and `"paths"`: variables, for later checks.

Before the first step, from the model and one batch (`static`):

    finite_loss                    the loss of the batch in training mode is finite
    repeatable_loss                the same batch, weights and seeds give the same outputs and loss
    deterministic_inference        two passes in inference mode give the same outputs
    random_layers_act              dropout, noise and augmentation change their input in training
    dropout_only_in_training       dropout and noise do nothing in inference
    augmentation_only_in_training  augmentation draws no random numbers in inference
    random_numbers_differ          dropout, noise and augmentation draw new numbers in each step
    written_mode_kept              layers run in the mode that the model passes to them
    random_numbers_not_compiled    no numbers of Python's or NumPy's generators become constants of a compiled step
    sample_weights_reach_loss      other sample weights give another loss
    loss_weights_reach_loss        other loss weights give another loss
    optimizer_has_trainable        the optimizer has every trainable weight of the model
    trainable_as_compiled          no weight was frozen after the optimizer was built, and none during `fit`
    weights_tracked                the forward pass uses no trainable variable that the model does not track

From snapshots around the first training steps, evaluations and epochs (`Watch`):

    weights_move                   a trainable weight with a gradient moves
    updates_above_rounding         no update is lost in rounding
    frozen_weights_stay            a frozen weight does not move
    statistics_move                statistics of batch normalization move in training
    random_state_moves             the seeds of random layers advance in training
    iterations_advance             the optimizer counts its steps
    evaluation_changes_nothing     weights and statistics of batch normalization do not move in an evaluation
    order_changes                  the order of the batches differs between epochs
    improvement_known              callbacks take a smaller loss and a better metric for an improvement
    samples_seen                   an epoch sees the given number of samples
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core.listing import listed
from keras_lecture._core.objective import build_for
from keras_lecture._core.random_state import same_random_state
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts import loss_terms, random_layers, recorded_pass, variables
from keras_lecture.diagnosis._facts.entries import Facts, entry
from keras_lecture.diagnosis._facts.loss_terms import Loss
from keras_lecture.diagnosis._facts.random_invariants import of_random_layers
from keras_lecture.diagnosis._facts.recorded_pass import RecordingScope, array
from keras_lecture.diagnosis._facts.watch import Watch, digest

__all__ = ["Watch", "digest", "static"]

_AFTER_A_PASS = (
    "finite_loss",
    "repeatable_loss",
    "deterministic_inference",
    "random_layers_act",
    "dropout_only_in_training",
    "augmentation_only_in_training",
    "random_numbers_differ",
    "written_mode_kept",
    "random_numbers_not_compiled",
    "sample_weights_reach_loss",
    "loss_weights_reach_loss",
    "weights_tracked",
)


def static(model: keras.Model, batch: tuple[Any, Any, Any]) -> Facts:
    """The invariants that a model and one batch `(x, y, sample_weight)` of tensors decide; the model is untouched.

    It runs some five uncompiled forward passes. What raises an exception is not judged.
    """
    facts: Facts = {}
    with same_random_state():
        try:
            batch = keras.tree.map_structure(lambda a: None if a is None else ops.convert_to_tensor(a), batch)
            build_for(model, batch)
            passes = _Passes(model, batch)
        except Exception as error:
            facts |= {name: entry(None, None, f"the model cannot be called: {error!r:.200}") for name in _AFTER_A_PASS}
        else:
            for judge in (_of_loss, _of_inference, of_random_layers, _of_weighting, _of_tracking, _of_updates):
                facts |= _attempt(judge, passes)
        facts |= _of_optimizer(model)
    return facts


def _attempt(judge, passes):
    try:
        return judge(passes)
    except Exception as error:
        return {name: entry(None, None, f"not judged: {error!r:.200}") for name in _JUDGED[judge]}


class _Passes:
    """Two passes in training mode from the same state, and two consecutive ones in inference mode."""

    def __init__(self, model, batch):
        self.model, self.batch = model, batch
        self.scope, self.inference_scope = RecordingScope(), RecordingScope()

        def keep(layer):
            return random_layers.kind(layer) is not None

        with same_random_state():
            self.training = recorded_pass.run(model, batch[0], self.scope, training=True, keep=keep)
        with same_random_state():
            before = recorded_pass.host_random_state(model)
            self.again = recorded_pass.run(model, batch[0], RecordingScope(), training=True)
            self.host_draws = before != recorded_pass.host_random_state(model)
        inference = self.inference_scope
        self.inference = recorded_pass.run(model, batch[0], inference, training=False, keep=keep)
        self.inference_again = recorded_pass.run(model, batch[0], inference, training=False)


def _of_loss(passes):
    same = recorded_pass.close_outputs(passes.training.outputs, passes.again.outputs)
    facts = {"repeatable_loss": entry(same, None, "two passes with the same batch, weights and seeds")}
    if getattr(passes.model, "loss", None) is None and not variables.has_custom_loss(passes.model):
        return facts | {"finite_loss": entry(None, None, "the model was compiled without a loss")}
    loss = array(Loss(passes.model, passes.batch, passes.training.outputs).value())
    bad = [] if np.isfinite(loss).all() else _non_finite(passes)
    facts["finite_loss"] = entry(bool(np.isfinite(loss).all()), bad[0] if bad else None, f"the loss is {loss}")
    if bad:
        facts["finite_loss"]["severity"] = "low"
    return facts


def _non_finite(passes):
    """The parts of the batch that are not finite, which other rules report."""
    named = zip(("x", "y", "sample_weight"), passes.batch, strict=True)
    return [name for name, part in named if not all(_is_finite(a) for a in recorded_pass.arrays(part))]


def _is_finite(values):
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _of_inference(passes):
    holds = recorded_pass.close_outputs(passes.inference.outputs, passes.inference_again.outputs)
    where = None if holds else _first_difference(passes)
    fact = entry(holds, where, "two passes in inference mode")
    if not holds:
        # A variational model samples in inference, too.
        fact["severity"] = "low"
    return {"deterministic_inference": fact}


def _first_difference(passes):
    """The first layer without sublayers whose outputs differ between two passes in inference mode."""
    found = []
    scope = RecordingScope()
    for _ in range(2):
        done = recorded_pass.run(
            passes.model, passes.batch[0], scope, training=False, keep=lambda layer: len(layers(layer)) == 1
        )
        found.append(done.calls)
    for first, second in zip(*found, strict=False):
        if not recorded_pass.close_outputs(first.outputs, second.outputs):
            return first.layer.name
    return None


def _of_weighting(passes):
    model = passes.model
    names = ("sample_weights_reach_loss", "loss_weights_reach_loss")
    if variables.has_custom_train_step(model):
        reason = "the model has its own `train_step`, which may use another loss"
        return {name: entry(None, None, reason) for name in names}
    loss = Loss(model, passes.batch, passes.training.outputs)
    samples = loss_terms.sample_weights_reach(loss)
    terms = loss_terms.loss_weights_reach(loss, variables.has_custom_loss(model))
    return dict(zip(names, (samples, terms), strict=True))


def _of_tracking(passes):
    if variables.has_custom_train_step(passes.model):
        return {"weights_tracked": entry(None, None, "the model has its own `train_step`, which may train others")}
    paths = variables.untracked(passes.model, list(passes.scope.read.values()))
    detail = f"the forward pass uses {listed(paths)}, not among the model's variables" if paths else ""
    return {"weights_tracked": entry(not paths, paths[0] if paths else None, detail)}


def _of_updates(passes):
    """Variables that a training pass updates and that must therefore move in `fit`, and those an evaluation updates."""
    model = passes.model
    named = {id(variable): path for path, variable in variables.named_variables(model).items()}
    moving = [named[id(v)] for v in passes.scope.assigned.values() if id(v) in named and passes.scope.changed(v)]
    statistics, still = [], []
    for layer in layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            paths = [named[id(v)] for v in (layer.moving_mean, layer.moving_variance) if id(v) in named]
            trained = layer.trainable and passes.training.modes.get(id(layer)) == {True}
            statistics += [path for path in paths if path in moving and trained]
            if trained and paths and (layer.momentum == 1 or not _assigned(passes.scope, layer)):
                still.append(layer.name)
    held = {id(v) for v in (*model.trainable_variables, *variables.frozen(model))}
    held |= {id(v) for v in _statistics(model)}
    changed = [v for v in passes.inference_scope.assigned.values() if passes.inference_scope.changed(v)]
    changed = [named.get(id(v), v.path) for v in changed if id(v) in held]
    facts = {
        "statistics_move": entry(False if still else None, still[0] if still else None, "before the first step"),
        "random_state_moves": entry(None, None, "before the first step"),
        "evaluation_changes_nothing": entry(
            not changed, changed[0] if changed else None, f"an inference pass changes {listed(changed)}" * bool(changed)
        ),
    }
    if still:
        facts["statistics_move"]["detail"] = f"a training pass does not move the statistics of {listed(still)}"
    facts["statistics_move"]["paths"] = statistics
    facts["random_state_moves"]["paths"] = [path for path in moving if path.split("#")[0].endswith(_SEED)]
    return facts


_SEED = "seed_generator_state"


def _assigned(scope, layer):
    return any(id(v) in scope.assigned for v in (layer.moving_mean, layer.moving_variance))


def _statistics(model):
    normalizations = [layer for layer in layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    return [v for layer in normalizations if layer.built for v in (layer.moving_mean, layer.moving_variance)]


def _of_optimizer(model):
    names = ("optimizer_has_trainable", "trainable_as_compiled")
    missing, extra, reason = variables.compared_with_optimizer(model)
    if reason:
        return {name: entry(None, None, reason) for name in names}
    facts = {name: entry(True, None, "") for name in names}
    if missing:
        detail = f"the optimizer was built without {listed(missing)}"
        facts[names[0]] = entry(False, missing[0], detail)
    if extra:
        facts[names[1]] = entry(False, extra[0], f"the optimizer was built with {listed(extra)}, frozen since")
        if keras.backend.backend() == "torch":
            # The next step leaves them out; TensorFlow's compiled step goes on to train them, and JAX's fails.
            facts[names[1]]["severity"] = "low"
    return facts


_JUDGED = {
    _of_loss: ("finite_loss", "repeatable_loss"),
    _of_inference: ("deterministic_inference",),
    of_random_layers: (
        "random_layers_act",
        "dropout_only_in_training",
        "augmentation_only_in_training",
        "random_numbers_differ",
        "random_numbers_not_compiled",
        "written_mode_kept",
    ),
    _of_weighting: ("sample_weights_reach_loss", "loss_weights_reach_loss"),
    _of_tracking: ("weights_tracked",),
    _of_updates: ("statistics_move", "random_state_moves", "evaluation_changes_nothing"),
}
