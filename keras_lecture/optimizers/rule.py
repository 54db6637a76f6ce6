"""`Rule`: an optimizer is its formula and its slots; everything else is here, once."""

import operator
import re

import keras
import numpy as np
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.weights import role
from keras_lecture._training.step import dense
from keras_lecture.optimizers.schedules import checked_rate

Schedule = keras.optimizers.schedules.LearningRateSchedule


@register
class Rule(keras.optimizers.Optimizer):
    """The base of all optimizers here: write `slots` and `step`, and the rest works.

    Subclass it to try an update rule of your own. `step` is the formula for one weight tensor, in plain arithmetic and
    `keras.ops`; it takes the weights w, the gradient g, the learning rate η, the step number k = 1, 2, … and the slots
    in their order, and returns the new w and the new slots. It runs on all backends, compiled where the backend
    compiles. Clipping, averages, gradient accumulation, loss scaling and schedules are Keras's own. `weight_decay` and
    `l1` surround the formula:

        w ← (1 − ηλ)w               before the step      λ `weight_decay`
        w ← sign(w)·max(|w| − ημ, 0)  after the step       μ `l1`

    where η of the second line is the rule's own step of each weight, `step_size` (η/√(G + ε) for `AdaGrad`).
    A rule of two lines is `keras.optimizers.SGD`.

    Args:
        learning_rate: η, a number, a schedule or a callable. Defaults to `0.01`.
        weight_decay: λ of the decoupled decay. Defaults to `None`: none.
        l1: μ of the proximal step; weights below the threshold become exactly 0. Defaults to `None`: none.
        penalize: Which variables `weight_decay` and `l1` act on: `"kernels"` leaves out biases, normalization gains
            and all other vectors, `"all"` leaves out nothing, and a function of a variable (registered with Keras, so
            that it can be saved) decides itself. Saved with the optimizer. Defaults to `"kernels"`.
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
        Boyd, 2014, section 6.5.2 (shrinkage). Keras decays biases and gains too unless told otherwise, and forgets what
        it was told when the model is saved; it has no proximal l1. float16 and bfloat16 variables keep float32 slots
        and compute in float32, where Keras's slots have the variable's type.
    """

    slots: tuple[str, ...] = ()
    # The name of the backend's fast path for this very formula. A subclass with its own formula has none.
    kernel: str | None = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if any(name in vars(cls) for name in ("step", "step_size", "decayed", "complete_step")):
            cls.kernel = vars(cls).get("kernel")

    def __init__(self, learning_rate=0.01, *, weight_decay=None, l1=None, penalize="kernels", **kwargs):
        owner = type(self).__name__
        learning_rate = checked_rate(owner, learning_rate)
        if weight_decay is not None:
            checks.number(owner, "weight_decay", weight_decay, "[0, ∞)")
        if l1 is not None:
            checks.number(owner, "l1", l1, "[0, ∞)")
        if not callable(penalize):
            checks.one_of(owner, "penalize", penalize, ("kernels", "all"), "Or pass a function of a variable.")
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **kwargs)
        self.l1 = l1
        self.penalize = penalize
        self._excluded = {}

    def step(self, w, g, rate, k, *slots):
        """The formula: the new w, followed by the new slots."""
        raise NotImplementedError(f"{type(self).__name__} must define `step(self, w, g, rate, k, *slots)`.")

    def step_size(self, rate, k, *slots):
        """The factor of the gradient in the step, per weight: what `l1` is multiplied by."""
        return rate

    def initial(self, slot):
        """The value that a slot starts from."""
        return 0.0

    def decayed(self, w, rate, k, *slots):
        """The weights after `weight_decay`, before the step."""
        return w - rate * self.weight_decay * w

    def complete_step(self, penalty, w, g, rate, k, *slots):
        """Decay, formula and shrinkage of one tensor; `penalty` says whether to decay and whether to shrink."""
        decay, sparsify = penalty
        if decay:
            w = self.decayed(w, rate, k, *slots)
        result = self.step(w, g, rate, k, *slots)
        w, *slots = result if isinstance(result, tuple) else (result,)
        if sparsify:
            w = shrink(w, self.l1 * self.step_size(rate, k, *slots))
        return w, *slots

    def build(self, variables):
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

        # Not `keras.initializers.Constant`, which rounds to float32 on TensorFlow: an ε of a float64 slot is not that.
        def initializer(shape, dtype=None):
            return ops.convert_to_tensor(np.full(shape, start, dtype))

        if not is_half(variable):
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

    def state_of(self, variables):
        """The slots of `variables`, a list for each slot, and of each whether `weight_decay` and `l1` act on it now."""
        slots, penalties = self._slots, self._penalized
        if not self.is_all(variables):
            indices = [self._get_variable_index(variable) for variable in variables]
            slots = [[slot[index] for index in indices] for slot in slots]
            penalties = [penalties[index] for index in indices]
        if not self.weight_decay and not self.l1:
            return slots, [(False, False)] * len(penalties)
        return slots, [(bool(self.weight_decay and decay), bool(self.l1 and sparsify)) for decay, sparsify in penalties]

    def is_all(self, variables):
        """Whether these are all variables that the rule was built with, in their order."""
        known = self._trainable_variables
        return len(variables) == len(known) and all(map(operator.is_, variables, known))

    def update_step(self, gradient, variable, learning_rate):
        slots, (penalty,) = self.state_of([variable])
        slots = [slot for (slot,) in slots]
        operands = (variable, gradient, learning_rate, self.iterations + 1, *slots)
        dtype = slot_dtype(variable)
        values = self.complete_step(penalty, *(ops.cast(ops.convert_to_tensor(x), dtype) for x in operands))
        for target, value in zip((variable, *slots), values, strict=True):
            self.assign(target, ops.cast(value, target.dtype))

    # Keras asks for a step in three calls, each a pass over all weights: clip, decay, update. A kernel does all in one
    # pass, so the first two wait here for the third. Before, it looks at each variable twice, in every eager step: for
    # one that it does not know, and for one that wants its gradient as its value. None of these names is public: a test
    # guards them.

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
        optimizer_step(self, dense(grads), trainable_variables, learning_rate)

    def clipped(self, gradients):
        """The gradients after Keras's `clipnorm`, `global_clipnorm` or `clipvalue`."""
        return super()._clip_gradients(gradients)

    def update_each(self, gradients, variables, learning_rate):
        """The step by the formula, one variable at a time."""
        super()._backend_update_step(self.clipped(gradients), variables, learning_rate)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Leaves out more variables than `penalize` does; unlike Keras's, it is saved with the optimizer."""
        if self.built:
            raise ValueError(
                f"{type(self).__name__}: `exclude_from_weight_decay` must be called before the optimizer is built, "
                "that is before the first `fit` or `apply`."
            )
        self._excluded = {"paths": [v.path for v in var_list or ()], "names": list(var_names or ())}

    def get_config(self):
        penalize = self.penalize
        if callable(penalize):
            penalize = keras.saving.serialize_keras_object(penalize)
        config, excluded = {**super().get_config(), "l1": self.l1, "penalize": penalize}, self._excluded
        if excluded and self.built:
            # A loaded model's variables can have other paths (Keras 3.15 drops the model's name), but keep their order.
            variables = enumerate(self._trainable_variables)
            excluded = {"indices": [index for index, variable in variables if self._is_excluded(index, variable)]}
        return {**config, "excluded": dict(excluded)} if excluded else config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        excluded = config.pop("excluded", None)
        for key, value in config.items():
            if isinstance(value, dict):
                config[key] = keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
        rule = cls(**config)
        rule._excluded = excluded or {}
        return rule


@accelerate
def optimizer_step(rule, gradients, variables, learning_rate):
    """One step of `rule` on all variables; the kernels do the same in as few passes over memory as possible."""
    rule.update_each(gradients, variables, learning_rate)


def shrink(w, threshold):
    """Soft thresholding, sign(w)·max(|w| − threshold, 0)."""
    return ops.sign(w) * ops.relu(ops.abs(w) - threshold)


def is_half(variable):
    return keras.backend.standardize_dtype(variable.dtype) in ("float16", "bfloat16")


def slot_dtype(variable):
    """What a variable's slots and steps are computed in."""
    return "float32" if is_half(variable) else keras.backend.standardize_dtype(variable.dtype)


def scheduled(value, k):
    """The value of a hyperparameter at step k: a number is its own, a schedule is asked (it counts from 0)."""
    return value(k - 1) if callable(value) else value
