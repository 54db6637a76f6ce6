"""Minimizes functions of a weight vector as `fit` would, with an optimizer of the library, and records every step."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core.types import Tensor

# What a loss without its gradient, and a Hessian-vector product, cost in gradients: a forward pass is a third of a
# gradient with its forward pass, and `NewtonCG` says "about three times a gradient".
FORWARD, PRODUCT = 1 / 3, 3.0


class Landscape(keras.Model):
    """A model with one weight, whose loss is `function(w, x)`."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.w = self.add_weight(shape=shape, initializer="zeros", name="w")
        self.function = function

    def call(self, x):
        return x

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.function(ops.convert_to_tensor(self.w), x[0])


class Rates(keras.optimizers.schedules.LearningRateSchedule):
    """Several learning rates in one descent: w[i] is trained with rates[i], by a rule that works element by element."""

    def __init__(self, rates: Any, rank: int) -> None:
        self.rates = np.reshape(np.asarray(rates, "float32"), (-1, *(1,) * (rank - 1)))

    def __call__(self, step):
        return ops.convert_to_tensor(self.rates)

    def get_config(self):
        return {"rates": self.rates.ravel().tolist(), "rank": self.rates.ndim}


class Descent:
    """Descents with one optimizer on `function(w, x)`, compiled once; x is a vector that the caller chooses per run."""

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        function: Callable[[Tensor, Tensor], Tensor],
        shape: tuple[int, ...],
    ) -> None:
        self._model = Landscape(function, shape)
        for one in (getattr(optimizer, "inner_optimizer", optimizer), optimizer):
            if hasattr(one, "bind"):
                one.bind(self._model)
        self._model.compile(optimizer)
        optimizer.build(self._model.trainable_variables)
        self._optimizer = optimizer
        self._fresh = [(v, keras.ops.convert_to_numpy(v)) for v in optimizer.variables]

    def run(
        self,
        start: Any,
        *,
        budget: float = np.inf,
        steps: int | None = None,
        x: Any = (1.0,),
        enough: Callable[[np.ndarray], bool] = lambda w: False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The weights before the first and after each step, and what they cost so far, in gradient evaluations.

        Ends when the cost reaches `budget`, after so many `steps`, or when the weights are good `enough`.
        """
        for variable, value in self._fresh:
            variable.assign(value)
        self._model.w.assign(np.asarray(start, "float32"))
        record = Record(self._model.w, steps=steps, budget=budget, enough=enough)
        batches = np.tile(np.asarray(x, "float32"), (steps or int(np.ceil(budget)), 1))
        self._model.fit(batches, batch_size=1, shuffle=False, verbose=0, callbacks=[record])
        return np.array(record.path, "float64"), np.array(record.cost)


class Record(keras.callbacks.Callback):
    """Records the weight and the cost after each step of one `fit`, and ends it."""

    def __init__(
        self,
        weight: keras.Variable,
        *,
        steps: int | None = None,
        budget: float = np.inf,
        enough: Callable[[np.ndarray], bool] = lambda w: False,
    ) -> None:
        super().__init__()
        self._weight = weight
        self._steps = np.inf if steps is None else steps
        self._budget = budget
        self._enough = enough

    def on_train_begin(self, logs=None):
        self.path, self.cost = [self._value()], [0.0]

    def on_train_batch_end(self, batch, logs=None):
        self.path.append(self._value())
        self.cost.append(self.cost[-1] + _cost(type(self.model.optimizer).__name__, logs, self.path[0].size))
        ended = self.cost[-1] >= self._budget or len(self.cost) > self._steps
        if ended or self._enough(self.path[-1]):
            self.model.stop_training = True

    def _value(self):
        # On JAX, `model` brings the variables up to date. A copy, as PyTorch's array is the weight itself.
        return np.array(keras.ops.convert_to_numpy(self._weight)) if self.model else None


def _cost(name, logs, size) -> float:
    """The cost of one step, from what the optimizer logs about it."""
    tried = float(logs.get("evaluations", 1))
    if name == "LBFGS":
        return tried
    products = size if name == "Newton" else float(logs.get("products", 0))
    return 1 + FORWARD * (tried - 1) + PRODUCT * products
