"""Facts about the loss: finite, the same for the same batch and seeds, and a function of the weights given to it."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core.objective import loss_on
from keras_lecture._core.replacement import replaced
from keras_lecture.diagnosis._facts.entries import absent, entry
from keras_lecture.diagnosis._facts.recorded_pass import array, same


class Loss:
    """The loss of one batch for fixed outputs of the model, as a function of sample weights and loss weights."""

    def __init__(self, model: keras.Model, batch: tuple[Any, Any, Any], outputs: Any) -> None:
        self.model, self.batch, self.outputs = model, batch, outputs
        self._weights = [v.value for v in model.trainable_variables]
        self._others = [v.value for v in model.non_trainable_variables]

    def value(self, sample_weight: Any = None, outputs: Any = None) -> Any:
        """The loss as a tensor."""
        x, y, given = self.batch
        batch = (x, y, given if sample_weight is None else sample_weight)
        outputs = self.outputs if outputs is None else outputs
        return loss_on(self.model, batch, self._others, training=True)(self._weights, outputs)[0]

    def gradients(self, sample_weight: Any) -> list[np.ndarray]:
        """The gradients in the outputs."""
        leaves = keras.tree.flatten(self.outputs)

        def loss(values):
            return self.value(sample_weight, keras.tree.pack_sequence_as(self.outputs, values)), None

        return [array(g) for g in _backend.value_and_grad(loss)([ops.stop_gradient(leaf) for leaf in leaves])[1]]


def sample_weights_reach(loss: Loss) -> dict[str, Any]:
    """The fact whether the loss depends on the sample weights of the batch.

    A loss that divides by the sum of the weights does not change with their scale, and no weighted mean changes while
    all samples have the same loss; the gradients in the outputs then do.
    """
    given = loss.batch[2]
    if given is None:
        return absent("the batch has no sample weights")
    if all((array(leaf) == 1).all() for leaf in keras.tree.flatten(given)):
        return absent("all sample weights of the batch are 1")
    generator = np.random.default_rng(0)

    def drawn(leaf):
        return ops.convert_to_tensor(generator.uniform(0.5, 1.5, tuple(leaf.shape)), dtype=leaf.dtype)

    others = [
        keras.tree.map_structure(lambda leaf: leaf * 2, given),
        keras.tree.map_structure(drawn, given),
    ]
    value = array(loss.value(given))
    if not all(same(value, array(loss.value(other))) for other in others):
        return entry(True, None, "other sample weights give another loss")
    first, second = loss.gradients(given), loss.gradients(others[1])
    if not all(map(same, first, second)):
        return entry(True, None, "other sample weights give other gradients")
    if not any((gradient != 0).any() for gradient in second):
        return entry(None, None, "the loss of this batch has no gradient")
    return entry(False, None, "other sample weights give the same loss and the same gradients")


def loss_weights_reach(loss: Loss, is_custom: bool) -> dict[str, Any]:
    """The fact whether the loss depends on the `loss_weights` that the model was compiled with."""
    compiled = getattr(loss.model, "_compile_loss", None)
    weights = getattr(compiled, "_user_loss_weights", None)
    if not weights or all(weight in (None, 1) for weight in keras.tree.flatten(weights)):
        return absent("the model was compiled without loss weights other than 1")
    if not is_custom:
        return entry(True, None, "the compiled loss multiplies its terms by them")
    other = keras.tree.map_structure(lambda weight: 3.0 * (weight or 0.0) + 1.0, weights)
    # New objects: a compiled loss adds metrics to the model when it is called first.
    pair = [type(compiled)(compiled._user_loss, each, output_names=compiled.output_names) for each in (weights, other)]
    x, y, sample_weight = loss.batch
    terms, values = [], []
    for each in pair:
        with keras.StatelessScope():
            terms.append(array(each(y, loss.outputs, sample_weight)))
        with replaced([(loss.model, "_compile_loss", each)]):
            values.append(array(loss.value()))
    if not same(*values):
        return entry(True, None, "other loss weights give another loss")
    if same(*terms):
        return entry(None, None, "the compiled losses of this batch are all 0")
    return entry(False, None, "other loss weights give the same loss")
