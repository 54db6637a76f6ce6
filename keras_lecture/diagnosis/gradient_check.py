"""A comparison of a model's gradient with numeric derivatives of its loss."""

import math
import textwrap
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.listing import listed
from keras_lecture._core.objective import build_for
from keras_lecture._core.random_state import same_random_state
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import layers, weights
from keras_lecture.diagnosis._facts.reasons import message
from keras_lecture.diagnosis._numeric.double import Calls, in_double
from keras_lecture.diagnosis._numeric.entries import EntryCheck
from keras_lecture.diagnosis._numeric.objective import NumericObjective, as_tensor

# From harmless to bad.
_VERDICTS = ("right", "unknown", "kink", "wrong")


class CheckedLayer(NamedTuple):
    """The worst of the checked entries of one layer's weights."""

    layer: str
    path: str
    analytic: float
    numeric: float
    error: float
    verdict: str
    right: int
    checked: int


class GradientCheck(NamedTuple):
    """Analytic against numeric derivatives, a row for each layer in the order of the calls; `print` shows a table."""

    rows: list[CheckedLayer]
    precision: str
    tolerance: float
    suspects: list[str]
    note: str

    @property
    def worst(self) -> CheckedLayer:
        """The row with the worst verdict, and among these the largest error."""
        return max(self.rows, key=lambda row: (_VERDICTS.index(row.verdict), row.error))

    @property
    def is_right(self) -> bool:
        """Whether no entry is wrong."""
        return self.worst.verdict != "wrong"

    def __str__(self) -> str:
        wrong = sum(row.verdict == "wrong" for row in self.rows)
        found = f"{wrong} of {len(self.rows)} layers wrong" if wrong else "no layer wrong"
        lines = [f"Gradient check in {self.precision}, tolerance {self.tolerance:.1g}: {found}"]
        lines.append(f"{'worst entry':<32}{'analytic':>12}{'numeric':>12}{'error':>8}{'right':>7} verdict")
        for row in self.rows:
            path = row.path if len(row.path) < 32 else f"…{row.path[-30:]}"
            count = f"{row.right}/{row.checked}"
            numbers = f"{row.analytic:12.4e}{row.numeric:12.4e}{row.error:8.0e}{count:>7}"
            lines.append(f"{path:<32}{numbers} {row.verdict}")
        if self.suspects:
            lines += textwrap.wrap(f"Look first at: {', '.join(self.suspects)}.", 80)
        return "\n".join(lines + textwrap.wrap(self.note, 80))


def gradient_check(
    model: keras.Model,
    x: Tensor,
    y: Tensor | None = None,
    sample_weight: Tensor | None = None,
    *,
    samples: int = 4,
    step: float | None = None,
    training: bool = False,
    seed: int = 0,
) -> GradientCheck:
    """Compares the gradient of a compiled model's loss with numeric derivatives in float64, layer by layer.

    Use it for a layer, activation or loss of your own, above all if it defines its own gradient, or if a model does not
    learn. It takes four evaluations of the loss for each entry, and up to a hundred for one that disagrees.

        D(h) = (L(w + h) − L(w − h)) / 2h,   ∂L/∂w ≈ (4 D(h/2) − D(h)) / 3

    L the loss that `fit` minimizes, regularizers included; w one entry of a weight, h the `step` relative to its size.
    The error is |analytic − numeric| over the largest derivative of the weight. An entry is `"right"`, `"wrong"`,
    at a `"kink"` (no derivative here, but right at random points close by), or `"unknown"` (too small for the
    precision). For a loss quadratic in w, D(h) is exact for every h. A straight-through estimator or a reversed
    gradient is wrong on purpose. No weight, metric, statistic or random state of the model changes.

    Every layer computes in float64 during the call, also under mixed precision; no other thread may use Keras
    meanwhile. A model that cannot is checked in its own precision. The rounding of the loss is measured: `precision`
    and `tolerance` follow from it, and `note` gives the reason. Not seen are an error in a kernel for float32 alone,
    weights of a `TorchModuleWrapper`, and a `train_step` that does not minimize `compute_loss`.

    Args:
        model: A built and compiled Keras model.
        x, y, sample_weight: One batch, as for `model.train_on_batch`; a few samples are enough.
        samples: Number of checked entries of each weight: half of them with the largest gradients, half at random.
            Defaults to `4`.
        step: The step h relative to the size of the weight. Defaults to `None`: the cube root of the measured rounding,
            about 5e-6 in float64.
        training: Whether the model runs in training mode, with dropout and batch statistics. Defaults to `False`.
        seed: Seed of the choice of the entries. Defaults to `0`.

    Returns:
        A `GradientCheck`: `rows`, one for each layer with weights (`layer`, `path` of the worst entry, `analytic`,
        `numeric`, `error`, `verdict`, and how many of the `checked` entries are `right`), `worst`, `is_right`,
        `precision`, `tolerance`, `note`, and `suspects`: the last layer with a wrong gradient, from which the error
        travels backward, and the layers without weights between it and the next layer with weights.

    Example:
        >>> first = keras.layers.Dense(1, "relu", use_bias=False, name="first")
        >>> model = keras.Sequential([keras.Input((1,)), first, keras.layers.Dense(1, use_bias=False, name="second")])
        >>> model.set_weights([np.array([[1 / 3]]), np.array([[2.0]])])
        >>> model.compile(loss="mse")
        >>> found = keras_lecture.diagnosis.gradient_check(model, np.array([[1.0]]), np.array([[0.0]]))
        >>> [(row.layer, round(row.analytic, 3), round(row.numeric, 3), row.verdict) for row in found.rows]
        [('first', 2.667, 2.667, 'right'), ('second', 0.444, 0.444, 'right')]

    Reference:
        Deck D, whose example this is: (w₂·max(0, w₁x) − y)² with w = (1/3, 2), x = 1, y = 0 has the derivatives 8/3 and
        4/9. The extrapolation is Richardson's, 1911; the rounding is measured as by Moré and Wild, 2011.
    """
    checks.instance("gradient_check", "model", model, keras.Model, "a Keras model")
    checks.whole("gradient_check", "samples", samples)
    if step is not None:
        checks.number("gradient_check", "step", step, "(0, 1]")
    checks.boolean("gradient_check", "training", training)
    checks.whole("gradient_check", "seed", seed, "[0, ∞)")
    if not model.compiled:
        checks.reject(
            "gradient_check", "model", "compiled", model.name, "Call `model.compile(…)`: the loss is part of it."
        )
    batch = x, y, sample_weight
    build_for(model, keras.tree.map_structure(lambda value: as_tensor(value, keras.config.floatx()), batch))
    if not model.trainable_variables:
        checks.reject("gradient_check", "model", "a model with trainable weights", model.name)
    groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    arrays = [[ops.convert_to_numpy(v) for v in group] for group in groups]

    with same_random_state():
        try:
            with in_double(model):
                return _checked(model, batch, arrays, samples, step, training, seed)
        # Any framework's error: the model's own code meets float64 where it takes float32 for granted.
        except Exception as error:
            note = f"In the model's own precision, because float64 failed ({message(error)})."
        return _checked(model, batch, arrays, samples, step, training, seed, note)


def _checked(model, batch, arrays, samples, step, training, seed, note=""):
    objective = NumericObjective(model, batch, arrays, training, keras.config.floatx())
    calls = Calls(model)
    with calls.recorded():
        gradient = objective.gradient(objective.weights)
    if not math.isfinite(gradient[0]):
        remedy = "`diagnosis.first_nonfinite` finds the origin."
        checks.reject("gradient_check", "model", "a model with a finite loss on this batch", gradient[0], remedy)
    seen = set().union(*calls.types.values())
    check = EntryCheck(objective, seen, gradient, step, np.random.default_rng(seed))
    rows, owners = _rows(model, calls, check.entries(samples))
    if not note and check.precision != "float64":
        low = [layer.name for key, layer in calls.layers.items() if calls.types.get(key, set()) - {"float64"}]
        note = f"Not in float64, because {listed(low) or 'a layer or the loss'} casts to a lower precision itself."
    return GradientCheck(rows, check.precision, check.tolerance, _suspects(calls, rows, owners), note)


def _rows(model, calls, entries):
    """The worst entry of each layer in the order of the calls, and the ids of the layers."""
    owner = {id(weight.variable): weight.layer for weight in weights(model)}
    by_layer = {}
    for entry in entries:
        layer = owner[id(model.trainable_variables[entry.index])]
        by_layer.setdefault(id(layer), (layer, []))[1].append(entry)
    order = {key: position for position, key in enumerate(calls.layers)}
    keys = sorted(by_layer, key=lambda key: order.get(key, len(order)))
    rows = []
    for layer, found in map(by_layer.get, keys):
        worst = max(found, key=lambda entry: (_VERDICTS.index(entry.verdict), entry.error))
        right = sum(entry.verdict == "right" for entry in found)
        path = _path(model.trainable_variables[worst.index], worst.position)
        rows.append(CheckedLayer(layer.name, path, *worst[2:], right, len(found)))
    return rows, keys


def _path(variable, position):
    where = ", ".join(str(i) for i in np.unravel_index(position, variable.shape)) if len(variable.shape) else ""
    return f"{variable.path}[{where}]" if where else variable.path


def _suspects(calls, rows, owners):
    """The last wrong layer, and the layers without weights that come after it, before the next one with weights."""
    wrong = [position for position, row in enumerate(rows) if row.verdict == "wrong"]
    if not wrong:
        return []
    last, order = wrong[-1], list(calls.layers)
    found = [rows[last].layer]
    # If a layer before it is right, the gradient that goes backward from here is right, too.
    if len(wrong) <= last or owners[last] not in order:
        return found
    for key in order[order.index(owners[last]) + 1 :]:
        if key in owners:
            break
        if len(layers(calls.layers[key])) == 1:
            found.append(calls.layers[key].name)
    return found
