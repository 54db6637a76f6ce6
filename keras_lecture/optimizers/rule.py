"""`Rule`: an optimizer is its formula and its slots; everything else is here, once."""

import functools
import operator
import re
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture import checks
from keras_lecture._training.step import dense
from keras_lecture.backend import accelerate
from keras_lecture.optimizers.flat_slots import adds_in_place, apart, flat_slots, on_parts
from keras_lecture.optimizers.schedules import checked_rate
from keras_lecture.saving import register
from keras_lecture.weights import role

Tensor = Any
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

    A formula that moves each weight by itself, without a norm or a mean over its tensor, may say so by
    `elementwise = True`: many small variables are then given to it end to end, which takes between a third and three
    quarters of the time for a thousand of them.

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
        it was told when the model is saved; it has no proximal l1. Where 16 or more small variables are alike they
        have common slots here. float16 and bfloat16 variables keep float32 slots and compute in float32, where Keras's
        slots have the variable's type.
    """

    slots: tuple[str, ...] = ()
    # The name of the backend's fast path for this very formula. A subclass with its own formula has none.
    kernel: str | None = None
    # Whether the formula moves each weight by itself: then it may be given many small tensors end to end, as one. A
    # formula with a norm or a mean in it may not, so a subclass with its own says so itself.
    elementwise: bool = False
    # Whether the formula comes with `moved(w, g, rate, k, *slots)`, the new w from the new slots: then only the slots
    # of small variables need be computed end to end.
    ends_in_move: bool = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if any(name in vars(cls) for name in ("step", "moved", "step_size", "decayed", "complete_step")):
            cls.kernel = vars(cls).get("kernel")
            cls.elementwise = vars(cls).get("elementwise", False)
            cls.ends_in_move = "moved" in vars(cls)

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

    def complete_step(self, penalty, w, g, rate, k, *slots, after=None):
        """Decay, formula and shrinkage of one tensor; `penalty` says whether to decay and whether to shrink.

        `after` are the new slots where they are known already.
        """
        decay, sparsify = penalty
        if decay:
            w = self.decayed(w, rate, k, *slots)
        result = self.step(w, g, rate, k, *slots) if after is None else (self.moved(w, g, rate, k, *after), *after)
        w, *slots = result if isinstance(result, tuple) else (result,)
        if sparsify:
            w = shrink(w, self.l1 * self.step_size(rate, k, *slots))
        return w, *slots

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        overwritten = [*map(self._overwrite_variable_with_gradient, variables)]
        self._has_plain_variables_only = not any(overwritten)
        self._penalized = []
        for index, variable in enumerate(variables):
            penalized = self._is_penalized(variable)
            self._penalized.append((penalized and not self._is_excluded(index, variable), penalized))
        self.flat_slots = []
        if self.elementwise:
            kinds = [None if over else kind for over, kind in zip(overwritten, self._penalized, strict=True)]
            self.flat_slots = flat_slots(variables, kinds)
        self._flat = {place: flat for flat in self.flat_slots for place in flat.places}
        self._slots = [
            [self._add_slot(index, variable, number) for index, variable in enumerate(variables)]
            for number in range(len(self.slots))
        ]

    def _add_slot(self, index, variable, number):
        name = self.slots[number]
        if self._overwrite_variable_with_gradient(variable):
            return None
        start = self.initial(name)

        # Not `keras.initializers.Constant`, which rounds to float32 on TensorFlow: an ε of a float64 slot is not that.
        def initializer(shape, dtype=None):
            return ops.convert_to_tensor(np.full(shape, start, dtype))

        if index in self._flat:
            flat = self._flat[index]
            if len(flat.slots) == number:
                label = f"{name}_of_{len(flat.places)}_from_{index}"
                flat.slots.append(self.add_variable((flat.size,), initializer, dtype=slot_dtype(variable), name=label))
            return flat.part(number, index)
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
            indices = self._places(variables)
            slots = [[slot[index] for index in indices] for slot in slots]
            penalties = [penalties[index] for index in indices]
        if not self.weight_decay and not self.l1:
            return slots, [(False, False)] * len(penalties)
        now = {kind: self.penalty_now(kind) for kind in {*penalties}}
        return slots, [now[kind] for kind in penalties]

    def penalty_now(self, penalized):
        """Whether `weight_decay` and `l1` act on variables of this kind as the two are now."""
        decay, sparsify = penalized
        return bool(self.weight_decay and decay), bool(self.l1 and sparsify)

    def _places(self, variables):
        return [self._get_variable_index(variable) for variable in variables]

    def is_all(self, variables):
        """Whether these are all variables that the rule was built with, in their order."""
        known = self._trainable_variables
        return len(variables) == len(known) and all(map(operator.is_, variables, known))

    def update_step(self, gradient, variable, learning_rate):
        if not self.update_flat([gradient], [variable], learning_rate)[1]:
            return
        slots, (penalty,) = self.state_of([variable])
        slots = [slot for (slot,) in slots]
        operands = (variable, gradient, learning_rate, self.iterations + 1, *slots)
        dtype = slot_dtype(variable)
        values = self.complete_step(penalty, *(ops.cast(ops.convert_to_tensor(x), dtype) for x in operands))
        for target, value in zip((variable, *slots), values, strict=True):
            self.assign(target, ops.cast(value, target.dtype))

    def update_flat(self, gradients, variables, learning_rate):
        """The step of those variables whose slots lie together; the gradients and variables that are left."""
        if not self._flat or not self.slots:
            return gradients, variables
        places = self._places(variables)
        rows = dict(zip(places, zip(gradients, variables, strict=True), strict=True))
        for flat in self.flat_slots:
            present = [place for place in flat.places if place in rows]
            if present:
                self._step_flat(flat, present, [rows[place] for place in present], learning_rate)
        left = [rows[place] for place in places if place not in self._flat]
        return [gradient for gradient, _ in left], [variable for _, variable in left]

    def _step_flat(self, flat, places, rows, learning_rate):
        gradients, variables = zip(*rows, strict=True)
        dtype, penalty, count = slot_dtype(variables[0]), self.penalty_now(flat.penalty), self.iterations + 1
        rate, k = (ops.cast(ops.convert_to_tensor(x), dtype) for x in (learning_rate, count))
        move = on_parts(functools.partial(self._moved_part, penalty), count) if self.ends_in_move else None
        if move:
            before = flat.parts()
            flat.step(lambda w, g, *slots: self.step(w, g, rate, k, *slots), dtype, places, None, gradients)
            after = flat.parts()
            for place, variable, gradient in zip(places, variables, gradients, strict=True):
                self.assign(variable, move(variable.value, gradient, rate, k, before[place], after[place]))
            return

        def update(w, *operands):
            return apart(lambda g, *slots: self.complete_step(penalty, w, g, rate, k, *slots), count, *operands)

        # Where nothing but the formula moves w, and it is our own (w plus a movement), w need not be laid end to end.
        moves = self.kernel and not any(penalty) and not is_half(variables[0]) and adds_in_place()
        weights = None if moves else [ops.convert_to_tensor(variable) for variable in variables]
        for variable, value in zip(variables, flat.step(update, dtype, places, weights, gradients), strict=True):
            if moves:
                self.assign_add(variable, value)
            else:
                self.assign(variable, ops.cast(value, variable.dtype))

    def _moved_part(self, penalty, w, g, rate, k, before, after):
        wide, g = (ops.cast(x, rate.dtype) for x in (w, g))
        return ops.cast(self.complete_step(penalty, wide, g, rate, k, *before, after=after)[0], w.dtype)

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
        """The step by the formula, one variable at a time, or many small ones as one."""
        gradients, variables = self.update_flat(self.clipped(gradients), variables, learning_rate)
        if variables:
            super()._backend_update_step(gradients, variables, learning_rate)

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
