"""`Rule`, the base class of the update rules: a rule adds its slots and its formula."""

import operator
import re
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import role
from keras_lecture._training.step import dense, over_replicas, per_replica
from keras_lecture.optimizers._own_averages import OwnAverages
from keras_lecture.optimizers.schedules import Scheduled, checked_rate


@register
class Rule(OwnAverages):
    """The base class of the update rules: write `slots` and `step`, and the rest works.

    Subclass it to try an update rule of your own. `step` is the formula for one weight tensor, in plain arithmetic and
    `keras.ops`; it takes the weights w, the gradient g, the learning rate η, the step number k = 1, 2, … and the slots
    in their order, and returns the new w and the new slots. It runs on all backends, compiled where the backend
    compiles. Clipping, moving averages of the weights, gradient accumulation, loss scaling and schedules are Keras's
    own. `weight_decay` and `l1` act before and after the formula:

        w ← (1 − ηλ)w                  before the step     λ `weight_decay`
        w ← sign(w)·max(|w| − ημ, 0)   after the step      μ `l1`

    where η in the second line is the rule's step size for each weight, `step_size` (η/√G for `AdaGrad`).
    With w − ηg as its `step` it is `keras.optimizers.SGD`.

    Args:
        learning_rate: η, a number, a schedule or a callable. Defaults to `0.01`.
        weight_decay: λ of the decoupled decay. Defaults to `None`, no decay.
        l1: μ of the proximal step; weights below the threshold become exactly 0. Defaults to `None`, no proximal step.
        penalize: The variables that `weight_decay` and `l1` act on: `"kernels"` leaves out biases, normalization gains
            and all other vectors, `"all"` leaves out nothing, and a function returns `True` for a variable that they
            act on (register it with Keras, so that it can be saved). Saved with the optimizer. Defaults to `"kernels"`.
        kwargs: Arguments of `keras.optimizers.Optimizer`: `clipnorm`, `global_clipnorm`, `use_ema`, ….

    Example:
        >>> class Sign(keras_lecture.optimizers.Rule):
        ...     slots = ("mean",)
        ...
        ...     def step(self, w, g, rate, k, mean):
        ...         mean = 0.9 * mean + 0.1 * g
        ...         return w - rate * keras.ops.sign(mean), mean
        >>> w = keras.Variable([1.0, 2.0])
        >>> Sign(0.5).apply([keras.ops.convert_to_tensor([3.0, -4.0])], [w])
        >>> [float(value) for value in w.numpy()]
        [0.5, 2.5]

    Reference:
        Deck E for decay and shrinkage; Loshchilov and Hutter, 2019, arXiv:1711.05101 (decoupled decay); Parikh and
        Boyd, 2014, section 6.5.2 (shrinkage). Keras decays biases and gains too unless they are excluded, and does not
        save the exclusions with the model; it has no proximal l1. float16 and bfloat16 variables have float32 slots and
        are updated in float32, where Keras's slots have the variable's dtype.
    """

    slots: tuple[str, ...] = ()
    # The name of the backend's kernel for this formula. A subclass with another formula has none.
    kernel: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if any(name in vars(cls) for name in ("step", "step_size", "decayed", "complete_step")):
            cls.kernel = vars(cls).get("kernel")

    def __init__(
        self,
        learning_rate: Scheduled = 0.01,
        *,
        weight_decay: float | None = None,
        l1: float | None = None,
        penalize: str | Callable[[keras.Variable], bool] = "kernels",
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        learning_rate = checked_rate(owner, learning_rate)
        if weight_decay is not None:
            checks.number(owner, "weight_decay", weight_decay, "[0, ∞)")
        if l1 is not None:
            checks.number(owner, "l1", l1, "[0, ∞)")
        # On JAX, an initializer would take the variable for a shape, and read it without an end.
        if not callable(penalize) or isinstance(penalize, keras.initializers.Initializer):
            checks.one_of(owner, "penalize", penalize, ("kernels", "all"), "Or pass a function of a variable.")
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **kwargs)
        self.l1 = l1
        self.penalize = penalize
        self._excluded = {}

    def step(self, w: Tensor, g: Tensor, rate: Tensor, k: Tensor, *slots: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The formula: the new w, followed by the new slots."""
        raise NotImplementedError(f"{type(self).__name__} must define `step(self, w, g, rate, k, *slots)`.")

    def step_size(self, rate: Tensor, k: Tensor, *slots: Tensor) -> Tensor:
        """The factor of the gradient in the step, for each weight; it scales `l1` too."""
        return rate

    def initial(self, slot: str) -> float:
        """The initial value of a slot."""
        return 0.0

    def decayed(self, w: Tensor, rate: Tensor, k: Tensor, *slots: Tensor) -> Tensor:
        """The weights after `weight_decay`, before the step."""
        return w - rate * self.weight_decay * w

    def complete_step(
        self, penalty: tuple[bool, bool], w: Tensor, g: Tensor, rate: Tensor, k: Tensor, *slots: Tensor
    ) -> tuple[Tensor, ...]:
        """Decay, formula and shrinkage of one tensor; `penalty` says whether to decay and whether to shrink."""
        decay, sparsify = penalty
        if decay:
            w = self.decayed(w, rate, k, *slots)
        result = self.step(w, g, rate, k, *slots)
        w, *slots = result if isinstance(result, tuple) else (result,)
        if sparsify:
            w = shrink(w, self.l1 * self.step_size(rate, k, *slots))
        return w, *slots

    def build(self, variables: list[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._has_plain_variables_only = not any(map(self._overwrite_variable_with_gradient, variables))
        self._penalized = []
        for index, variable in enumerate(variables):
            penalized = self._is_penalized(variable)
            self._penalized.append((penalized and not self._is_excluded(index, variable), penalized))
        self._slots = [[self._add_slot(variable, name) for variable in variables] for name in self.slots]

    def _add_slot(self, variable, name):
        if self._overwrite_variable_with_gradient(variable):
            return None
        start = self.initial(name)

        # `keras.initializers.Constant` rounds to float32 on TensorFlow, which would change ε in a float64 slot.
        def initializer(shape, dtype=None):
            return ops.convert_to_tensor(np.full(shape, start, dtype))

        if slot_dtype(variable) == keras.backend.standardize_dtype(variable.dtype):
            return self.add_variable_from_reference(variable, name=name, initializer=initializer)
        path = variable.path.replace("/", "_")
        return self.add_variable(variable.shape, initializer, dtype="float32", name=f"{path}_{name}")

    def _is_penalized(self, variable):
        if callable(self.penalize):
            return bool(self.penalize(variable))
        return self.penalize == "all" or role(variable.name, variable.shape) == "kernel"

    def _is_excluded(self, index, variable):
        if "indices" in self._excluded:
            return index in self._excluded["indices"]
        paths, names = self._excluded.get("paths", ()), self._excluded.get("names", ())
        return variable.path in paths or any(re.search(name, variable.name) for name in names)

    def state_of(self, variables: list[keras.Variable]) -> tuple[list[list[keras.Variable]], list[tuple[bool, bool]]]:
        """One list of variables for each slot, and for each variable whether `weight_decay` and `l1` act on it now."""
        slots, penalties = self._slots, self._penalized
        if not self.is_all(variables):
            indices = [self._get_variable_index(variable) for variable in variables]
            slots = [[slot[index] for index in indices] for slot in slots]
            penalties = [penalties[index] for index in indices]
        if not self.weight_decay and not self.l1:
            return slots, [(False, False)] * len(penalties)
        return slots, [(bool(self.weight_decay and decay), bool(self.l1 and sparsify)) for decay, sparsify in penalties]

    def is_all(self, variables: list[keras.Variable]) -> bool:
        """Whether these are all the variables that the rule was built with, in their order."""
        known = self._trainable_variables
        return len(variables) == len(known) and all(map(operator.is_, variables, known))

    def update_step(self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
        slots, (penalty,) = self.state_of([variable])
        slots = [slot for (slot,) in slots]
        operands = (variable, gradient, learning_rate, self.iterations + 1, *slots)
        dtype = slot_dtype(variable)
        values = self.complete_step(penalty, *(ops.cast(ops.convert_to_tensor(x), dtype) for x in operands))
        for target, value in zip((variable, *slots), values, strict=True):
            self.assign(target, ops.cast(value, target.dtype))

    # Keras takes a step in three calls, each a pass over all weights: clip, decay, update. A kernel does all three in
    # one pass, so here the first two do nothing. Before them, every eager step of Keras checks each variable twice:
    # whether it is known, and whether it is to be overwritten with its gradient. Both checks are skipped here where
    # `build` has answered them. None of these names is public: a test guards them.

    def _check_variables_are_known(self, variables):
        if not self.is_all(variables):
            super()._check_variables_are_known(variables)

    def _overwrite_variables_directly_with_gradients(self, grads, vars):
        if self._has_plain_variables_only:
            return grads, vars
        return super()._overwrite_variables_directly_with_gradients(grads, vars)

    def _clip_gradients(self, grads):
        return grads

    def _apply_weight_decay(self, variables):
        pass

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if len(getattr(learning_rate, "shape", ())):
            # A rate for each element of the weights, as a schedule may return; a kernel takes one for all.
            self.update_each(dense(grads), trainable_variables, learning_rate)
        else:
            optimizer_step(self, dense(grads), trainable_variables, learning_rate)

    def clipped(self, gradients: list[Tensor]) -> list[Tensor]:
        """The gradients after Keras's `clipnorm`, `global_clipnorm` or `clipvalue`."""
        if not (self.clipnorm or self.global_clipnorm or self.clipvalue):
            return gradients
        return per_replica(super()._clip_gradients(over_replicas(gradients)))

    def update_each(self, gradients: list[Tensor], variables: list[keras.Variable], learning_rate: Tensor) -> None:
        """The step by the formula, one variable at a time."""
        super()._backend_update_step(self.clipped(gradients), variables, learning_rate)

    def exclude_from_weight_decay(
        self, var_list: list[keras.Variable] | None = None, var_names: list[str] | None = None
    ) -> None:
        """Excludes more variables than `penalize` does; unlike in Keras, this is saved with the optimizer."""
        if self.built:
            raise ValueError(
                f"{type(self).__name__}: `exclude_from_weight_decay` must be called before the optimizer is built, "
                "that is before the first `fit` or `apply`."
            )
        self._excluded = {"paths": [v.path for v in var_list or ()], "names": list(var_names or ())}

    def get_config(self) -> dict[str, Any]:
        penalize, excluded = keras.saving.serialize_keras_object(self.penalize), self._excluded
        config = {**super().get_config(), "l1": self.l1, "penalize": penalize}
        if excluded and self.built:
            # A loaded model's variables can have other paths (Keras 3.15 drops the model's name), but keep their order.
            variables = enumerate(self._trainable_variables)
            excluded = {"indices": [index for index, variable in variables if self._is_excluded(index, variable)]}
        return {**config, "excluded": dict(excluded)} if excluded else config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        config = dict(config)
        excluded = config.pop("excluded", None)
        for key, value in config.items():
            if isinstance(value, dict):
                config[key] = keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
        rule = cls(**config)
        rule._excluded = excluded or {}
        return rule


@accelerate
def optimizer_step(rule: Rule, gradients: list[Tensor], variables: list[keras.Variable], learning_rate: Tensor) -> None:
    """One step of `rule` on all variables; the kernels do the same in as few passes over memory as possible."""
    rule.update_each(gradients, variables, learning_rate)


def shrink(w: Tensor, threshold: Tensor) -> Tensor:
    """Soft thresholding, sign(w)·max(|w| − threshold, 0)."""
    return ops.sign(w) * ops.relu(ops.abs(w) - threshold)


def slot_dtype(variable: keras.Variable) -> str:
    """The dtype of a variable's slots and of its steps: float32 or float64."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def scheduled(value: Scheduled, k: Tensor) -> Tensor:
    """The value at step k of a hyperparameter, a number or a schedule, whose steps count from 0."""
    return value(k - 1) if callable(value) else value
