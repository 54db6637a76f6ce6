"""The loss of a model on a few samples in inference mode with its standard error, and that of a constant output."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core.masks import mask_of, with_mask
from keras_lecture._core.objective import loss_on
from keras_lecture._core.replacement import replaced
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts import calls, variables
from keras_lecture.diagnosis._facts.losses import compiled_losses

_BLOCKS = 8


class Evaluation:
    """Evaluates a model on batches of one shape: loss, its standard error, accuracy, predictions.

    The loss is the one that Keras's `evaluate` reports. Its error comes from the spread of the losses of 8 blocks of
    samples, without the losses that layers add.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._losses = compiled_losses(model)
        self._penalized = [layer for layer in layers(model) if layer.activity_regularizer is not None]
        self._run = _backend.compile(self._evaluate)
        self._constant = _backend.compile(self._loss_of)

    def __call__(self, batch: tuple[Any, Any, Any]) -> dict[str, Any]:
        predictions, loss, parts, regularization = self._run(*calls.values(self.model), batch)
        parts = ops.convert_to_numpy(parts).astype("float64")
        predictions = keras.tree.map_structure(_array, predictions)
        classes = _classes(self._losses, batch[1], predictions)
        with np.errstate(all="ignore"):
            error = float(np.std(parts, ddof=1) / np.sqrt(len(parts))) if len(parts) > 1 else None
        return {
            "loss": float(ops.convert_to_numpy(loss)),
            "error": error,
            "regularization": float(ops.convert_to_numpy(regularization)),
            "accuracy": _accuracy(classes),
            "renumbered": _renumbered(classes),
            "same_output": all(is_constant(leaf) for leaf in keras.tree.flatten(predictions)),
            "predictions": predictions,
        }

    def of_constant(self, batch: tuple[Any, Any, Any], constant: Any) -> float:
        """The loss without regularization if the outputs were `constant`, a structure of arrays like the outputs."""
        weights, others, metrics = calls.values(self.model)
        loss, regularization = self._constant(weights, others, metrics, batch, constant)
        return float(ops.convert_to_numpy(loss)) - float(ops.convert_to_numpy(regularization))

    def _evaluate(self, weights, others, metrics, batch):
        loss, (predicted, *_) = loss_on(self.model, batch, others, metrics, training=False)(weights)
        parts = []
        for block, outputs in zip(_blocks(batch), _blocks(predicted), strict=True):
            part, _ = loss_on(self.model, block, others, metrics, training=False)(weights, outputs)
            parts.append(ops.cast(part, "float32"))
        penalty = self._regularization(weights, others, metrics) + self._on_outputs(
            loss, weights, others, metrics, batch
        )
        return predicted, loss, ops.stack(parts), penalty

    def _on_outputs(self, loss, weights, others, metrics, batch):
        """The penalties on outputs of layers: by how much the loss is smaller without them."""
        if not self._penalized:
            return ops.zeros(())
        with replaced([(layer, "activity_regularizer", None) for layer in self._penalized]):
            bare, _ = loss_on(self.model, batch, others, metrics, training=False)(weights)
        return ops.cast(loss - bare, "float32")

    def _loss_of(self, weights, others, metrics, batch, constant):
        loss, _ = loss_on(self.model, batch, others, metrics, training=False)(weights, constant)
        return loss, self._regularization(weights, others, metrics)

    def _regularization(self, weights, others, metrics):
        """The penalties on weights, which are part of every loss."""
        model = self.model
        groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
        with _backend.scope(groups, (weights, others, metrics), collect_losses=True):
            return sum((ops.cast(loss, "float32") for loss in model.losses), ops.zeros(()))


def chance(evaluation: Evaluation, batch: tuple[Any, Any, Any], like: Any) -> dict[str, Any] | None:
    """The smallest loss of an output that is the same for every sample, among means, medians and class frequencies."""
    model = evaluation.model
    if variables.has_custom_loss(model) or batch[1] is None:
        return None
    outputs = keras.tree.flatten(like)
    targets = [_array(leaf) for leaf in keras.tree.flatten(batch[1])]
    families = [each["family"] for each in evaluation._losses]
    if not len(outputs) == len(targets) == len(families) or any(t.dtype.kind not in "biuf" for t in targets):
        return None
    if any(_is_one_class(*pair) for pair in zip(targets, families, strict=True)):
        # A constant is right about all of these samples, and about no others.
        return None
    candidates = [
        _constants(target, output, each)
        for target, output, each in zip(targets, outputs, evaluation._losses, strict=True)
    ]
    best = [options[0] for options in candidates]
    losses = []
    for position, options in enumerate(candidates):
        scores = []
        for option in options:
            trial = [*best[:position], option, *best[position + 1 :]]
            scores.append(evaluation.of_constant(batch, keras.tree.pack_sequence_as(like, trial)))
        scores = [score if np.isfinite(score) else np.inf for score in scores]
        best[position] = options[int(np.argmin(scores))]
        losses.append(min(scores))
    if not np.isfinite(losses[-1]):
        return None
    constant = keras.tree.pack_sequence_as(like, best)
    return {"loss": losses[-1], "accuracy": _accuracy(_classes(evaluation._losses, batch[1], constant))}


def _is_one_class(target, family):
    return "crossentropy" in family and len(target) > 1 and bool((target == target[:1]).all())


def _constants(target, output, loss):
    """Constant outputs of the shape of `output`; the first is the mean of the targets."""
    target = target.astype("float64")
    if loss["family"] == "sparse_categorical_crossentropy" and target.shape != output.shape:
        target = np.eye(output.shape[-1])[
            np.clip(target.reshape(output.shape[:-1]).astype(int), 0, output.shape[-1] - 1)
        ]
    elif target.ndim == output.ndim - 1:
        target = target[..., None]
    means = target.mean(axis=0)
    centers = [means, np.median(target, axis=0), np.zeros_like(means)]
    if "crossentropy" in loss["family"] and loss["from_logits"]:
        shares = np.clip(means, 1e-7, 1 - 1e-7)
        centers.append(np.log(shares) - (np.log1p(-shares) if loss["family"] == "binary_crossentropy" else 0.0))
    return [np.broadcast_to(center, output.shape).astype(output.dtype) for center in centers]


def _accuracy(classes):
    """The share of right classes among those of `_classes`, or `None`."""
    return None if classes is None else float(np.mean(classes[0] == classes[1]))


def _renumbered(classes):
    """The accuracy if the classes of the predictions are given the numbers that suit the targets best, greedily."""
    if classes is None:
        return None
    truth, predicted = (np.unique(part, return_inverse=True)[1].reshape(-1) for part in classes)
    table = np.zeros((truth.max() + 1, predicted.max() + 1), int)
    np.add.at(table, (truth, predicted), 1)
    hits, free = 0, np.ones(table.shape, bool)
    for cell in np.argsort(-table, axis=None, kind="stable"):
        row, column = divmod(int(cell), table.shape[1])
        if not table[row, column]:
            break
        if free[row, column]:
            hits += table[row, column]
            free[row], free[:, column] = False, False
    return float(hits / len(truth))


def _classes(losses, y, predictions):
    """The class numbers of targets and predictions of a model with one output that predicts classes, else `None`."""
    if len(losses) != 1 or y is None:
        return None
    targets, outputs = keras.tree.flatten(y), keras.tree.flatten(predictions)
    if len(targets) != 1 or len(outputs) != 1:
        return None
    target, output, loss = _array(targets[0]), outputs[0], losses[0]
    if loss["family"] in ("categorical_crossentropy", "sparse_categorical_crossentropy") and output.shape[-1] > 1:
        truth = target.argmax(-1) if target.shape == output.shape else target.reshape(output.shape[:-1])
        return truth, output.argmax(-1)
    if loss["family"] in ("binary_crossentropy", "hinge") and target.size == output.size:
        threshold = 0.0 if loss["from_logits"] or loss["family"] == "hinge" else 0.5
        return target.reshape(-1) > max(target.min(), 0.0), output.reshape(-1) > threshold
    return None


def _blocks(structure):
    """The samples in up to 8 blocks of equal size; a few at the end may be left out."""
    count = min(int(leaf.shape[0]) for leaf in keras.tree.flatten(structure) if leaf is not None)
    blocks = min(_BLOCKS, count)
    size = count // blocks

    def part(start):
        def cut(leaf):
            if leaf is None:
                return None
            cut = leaf[start : start + size]
            mask = mask_of(leaf)
            return cut if mask is None else with_mask(cut, mask[start : start + size])

        return keras.tree.map_structure(cut, structure)

    return [part(index * size) for index in range(blocks)]


def is_constant(output: np.ndarray) -> bool:
    """Whether an output is the same for every sample."""
    with np.errstate(all="ignore"):
        spread = np.ptp(output.reshape(len(output), -1).astype("float64"), axis=0)
        return bool(np.all(spread <= 1e-6 * np.maximum(np.abs(output).max(), 1e-30))) if len(output) > 1 else False


def _array(tensor):
    array = ops.convert_to_numpy(ops.stop_gradient(ops.convert_to_tensor(tensor)))
    return array.astype("float32") if array.dtype.name == "bfloat16" else array
