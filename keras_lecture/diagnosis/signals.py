"""The signals and gradients that travel through a model, layer by layer."""

from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.objective import build_for
from keras_lecture._core.random_state import same_random_state
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import weights as weights_of
from keras_lecture.diagnosis._facts.batches import as_tensors
from keras_lecture.diagnosis._facts.passes import Pass
from keras_lecture.diagnosis._facts.updates import next_updates


class Signals:
    """The rows of `signals`, one for each layer in call order; printed as a table at 80 columns.

    Attributes:
        rows: Dictionaries with the keys `layer`, `class`, `activation`, `mean`, `std`, `zeros`, `dead`, `units`,
            `saturated`, `equal`, `gradient`, `nonfinite`, `weights`; see `signals`.
        loss: The loss that was differentiated, or `None`.
    """

    def __init__(self, rows: list[dict[str, Any]], loss: float | None, no_gradient: list[str]) -> None:
        self.rows = rows
        self.loss = loss
        self.no_gradient = no_gradient

    def __str__(self) -> str:
        head = f"{'layer':<24} {'mean':>9} {'std':>9} {'zeros':>6} {'dead':>9} {'sat.':>5} {'gradient':>9}"
        lines = [head]
        for row in self.rows:
            dead = "" if row["dead"] is None else f"{row['dead']}/{row['units']}"
            saturated = "" if row["saturated"] is None else f"{row['saturated']:.2f}"
            gradient = "" if row["gradient"] is None else f"{row['gradient']:.2g}"
            lines.append(
                f"{row['layer'][:24]:<24} {row['mean']:>9.2g} {row['std']:>9.2g} {row['zeros']:>6.2f} "
                f"{dead:>9} {saturated:>5} {gradient:>9}"
            )
            for weight in row["weights"]:
                gradient = "" if weight["gradient"] is None else f"gradient {weight['gradient']:.2g}"
                update = "" if weight["update"] is None else f"update {weight['update']:.1e}"
                name = weight["path"].rpartition("/")[2]
                lines.append(f"  {name[:22]:<22} norm {weight['norm']:<8.3g} {gradient:<18} {update}".rstrip())
        return "\n".join(lines)

    __repr__ = __str__


def signals(
    model: keras.Model,
    x: Tensor,
    y: Tensor | None = None,
    sample_weight: Tensor | None = None,
    *,
    training: bool = True,
) -> Signals:
    """Measures the signal and its gradient at each layer, and each weight, on one batch.

    Use it when a model does not learn, or to compare initializations: a signal that shrinks to 0 or a gradient that
    does not reach the first layers explains it. It costs one pass forward and backward, and the first call compiles.

        mean = E a      std = √E(a − E a)²      gradient = √E(∂(Σ loss)/∂a)²

    a the output of the layer over samples and units, the loss summed over the samples. A unit is `dead` if its output
    is the same for every sample (0, for ReLU): zeros alone are no fault. At the output of a model with the loss
    (a − t)², `gradient` is 2·√E(a − t)². No weight, metric, seed or statistic of the model changes.

    Args:
        model: A built Keras model; without `compile` or without a loss for this batch, gradients are `None`.
        x, y, sample_weight: One batch, as for `model.train_on_batch`.
        training: Whether the model runs in training mode, with dropout and batch statistics. Defaults to `True`.

    Returns:
        A `Signals`: `rows` in call order, `loss`, and a table by `print`. Each row has `mean`, `std`, `zeros` (share of
        elements that are 0), `dead` (number of units, `None` without a nonlinearity), `units`, `saturated` (share of
        elements at which a bounded activation has under 5 % of its largest slope), `equal` (share of units that copy
        another one), `gradient`, `nonfinite` (number of elements), and `weights`: `path`, `norm` ‖w‖, `gradient`
        ‖∂L/∂w‖, `update` ‖Δw‖/‖w‖ of the optimizer's next step, if the optimizer has taken steps.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False, name="line")])
        >>> model.compile("sgd", "mse")
        >>> model.set_weights([np.array([[1.0], [1.0]])])
        >>> found = keras_lecture.diagnosis.signals(model, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [9.0]]))
        >>> row = found.rows[0]
        >>> row["mean"], row["std"], round(row["gradient"], 3)
        (5.0, 2.0, 4.0)

    Reference:
        Decks A and C (signals through ten layers of 500 units under six initializations). Layers that call others in
        a loop, as recurrent ones, count as one. Of several outputs of a layer the first is measured.
    """
    checks.instance("signals", "model", model, keras.Model, "a Keras model")
    checks.boolean("signals", "training", training)
    batch = as_tensors("signals", model, (x, y, sample_weight))
    has_loss = bool(model.compiled) and (y is not None or getattr(model, "loss", None) is None)
    if has_loss:
        build_for(model, batch)
    elif not model.built:
        checks.reject("signals", "model", "built", model.name, "Call it on a batch, or give it an `Input`, first.")
    with same_random_state():
        measured = Pass(model, batch, training=training, backward=has_loss and bool(weights_of(model)))(batch)
        if has_loss:
            _add_updates(model, batch, measured.rows, training)
    return Signals(measured.rows, measured.loss, measured.no_gradient)


def _add_updates(model, batch, rows, training):
    updates = next_updates(model, batch, training)
    for row in rows:
        for weight in row["weights"]:
            weight["update"] = updates.get(weight["path"])
