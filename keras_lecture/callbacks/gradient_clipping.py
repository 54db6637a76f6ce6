"""`GradientClipping`: clips gradients before the optimizer, and logs how often."""

from typing import Any

import keras
from keras import ops

from keras_lecture._core import checks, connections
from keras_lecture._core.saving import register
from keras_lecture._core.weights import weights
from keras_lecture._training.condition import Condition
from keras_lecture._training.readings import Readings
from keras_lecture._training.step import Step
from keras_lecture.callbacks._watch import clipping_rules as rules
from keras_lecture.callbacks._watch.norms import all_finite, square_sum
from keras_lecture.callbacks._watch.observe import Observer

_RULES = {
    "value": "(0, ∞)",
    "norm": "(0, ∞)",
    "global_norm": "(0, ∞)",
    "unit_norm": "(0, ∞)",
    "percentile": "[0, 100]",
}
# The number of norms that `percentile` keeps.
WINDOW = 1024


@register
class GradientClipping(Observer):
    """Clips gradients before the optimizer receives them, and logs how often that happened.

    Use it when the loss jumps: at a steep wall of the loss, the gradient says nothing about the distance to go. The
    logs tell whether a limit is too tight (`clipped_share` near 1) or idle (0). Costs one or two passes over the
    gradients.

        value       g ← min(max(g, −c), c)         of each element
        norm        g ← g·min(1, c/‖g‖)            of each weight tensor; `global_norm`: of all together
        unit_norm   g ← g·min(1, c·max(‖w‖, 10⁻³)/‖g‖)   of each unit, w its incoming weights
        percentile  as `global_norm`, c the percentile of the last 1024 norms ‖g‖, this one included

    g the gradient, c the value of the one rule that is given. Logged are `norm_before_clipping` (‖g‖ of all together),
    the `clipped_share` of steps with a clipped gradient and, with `on_nonfinite`, the number of `nonfinite_steps`.
    A limit that no gradient reaches changes nothing.

    Args:
        value: Largest magnitude of an element; the lecture uses `5.0`.
        norm: Largest norm of the gradient of each weight tensor.
        global_norm: Largest norm of all gradients together; clipping keeps their direction.
        unit_norm: Adaptive clipping: largest ratio of gradient norm to weight norm of a unit; the paper uses 0.01.
        percentile: AutoClip: percentile, in [0, 100], of the norms so far; the paper uses 10.
        on_nonfinite: Treatment of a batch whose gradient contains infinities or NaN: `"raise"` a `FloatingPointError`
            that names the weights, before they change; `"skip"` the batch, so that weights, slots, statistics and
            iterations stay (the epoch's `loss` in the logs still includes the batch); `"zero"` those elements. It comes
            with one of the rules above. Defaults to `None`: no treatment.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile(keras.optimizers.SGD(1.0), loss="mse")
        >>> model.set_weights([np.array([[10.0]])])
        >>> history = model.fit(
        ...     np.ones((4, 1)), np.zeros((4, 1)), batch_size=4, verbose=0,
        ...     callbacks=[keras_lecture.callbacks.GradientClipping(value=5.0)],
        ... ).history
        >>> history["norm_before_clipping"][0], history["clipped_share"][0], float(model.get_weights()[0][0, 0])
        (20.0, 1.0, 5.0)

    Reference:
        Deck B (each element at 5, or the norm). Pascanu et al., 2013, arXiv:1211.5063, algorithm 1 (norm); Brock et
        al., 2021, arXiv:2102.06171, eq. 3 (units; the paper leaves out the last layer, and here each row of an
        embedding is a unit); Seetharaman et al., 2020, arXiv:2007.14469, algorithm 1 (which keeps all norms; here the
        last 1024, in 4 kB). Keras clips inside the optimizer, by three of these rules, and logs nothing. Gradients are
        unscaled; with gradient accumulation the mean used for the update is clipped, and `on_nonfinite` checks each
        batch. Under Keras's loss scaling a gradient that is not finite lowers the scale and the step is skipped,
        whatever `on_nonfinite` says. None of this is saved with the model; `state` and `restore` carry it.
    """

    unseen_effect = "no gradient is clipped"
    protects = True

    def __init__(
        self,
        value: float | None = None,
        *,
        norm: float | None = None,
        global_norm: float | None = None,
        unit_norm: float | None = None,
        percentile: float | None = None,
        on_nonfinite: str | None = None,
    ) -> None:
        given = {
            "value": value,
            "norm": norm,
            "global_norm": global_norm,
            "unit_norm": unit_norm,
            "percentile": percentile,
        }
        chosen = [rule for rule, limit in given.items() if limit is not None]
        for rule in chosen:
            checks.number("GradientClipping", rule, given[rule], _RULES[rule])
        if len(chosen) != 1:
            rule = chosen[1] if chosen else "value"
            remedy = f"Give exactly one of {', '.join(_RULES)}."
            checks.reject("GradientClipping", rule, "the only rule" if chosen else "a number", given[rule], remedy)
        checks.one_of("GradientClipping", "on_nonfinite", on_nonfinite, (None, "raise", "skip", "zero"))
        super().__init__()
        self._given = given
        self._rule = chosen[0]
        self._limit = float(given[self._rule])
        self.on_nonfinite = on_nonfinite
        self.refuses = on_nonfinite in ("raise", "skip")
        self._left_to_scaling = False
        if on_nonfinite == "raise":
            # Not a method of the class: Keras waits for each batch if a callback has it.
            self.on_train_batch_end = self._raise_nonfinite

    def readings_for(self, variables: list[keras.Variable]) -> Readings:
        known = {id(weight.variable): weight for weight in weights(self._model)}
        self._axes = {}
        for variable in variables:
            connected = connections.from_weight(known[id(variable)])
            self._axes[id(variable)] = connected.incoming or connected.outgoing
        self._paths = [variable.path for variable in variables]
        return _Clipped(len(variables), WINDOW if self._rule == "percentile" else 0, bool(self.on_nonfinite))

    def before(self, step: Step) -> tuple[Any, ...]:
        faults = self._handle_nonfinite(step) if self.on_nonfinite else None
        norm = ops.sqrt(square_sum(step.gradients))
        step.gradients, clipped = self._clip(step, norm)
        return norm, clipped, faults

    def after(self, step: Step, memo: tuple[Any, ...]) -> tuple[Any, ...]:
        norm, clipped, faults = memo
        counts = step.due & step.taken
        if step.is_dynamically_scaled:
            counts = counts & ops.isfinite(norm)
        return norm, clipped, counts, faults

    def _handle_nonfinite(self, step):
        """Treats gradients that are not finite; returns for each weight 1 if its gradient is not finite, else 0."""
        finite = all_finite(step.batch)
        self._left_to_scaling = step.is_dynamically_scaled
        if not self._left_to_scaling:
            if self.on_nonfinite == "zero":
                step.amend([ops.where(ops.isfinite(g), g, 0.0) for g in step.batch])
            else:
                step.taken = step.taken & ops.all(finite)
        faults = ops.cast(ops.logical_not(finite), "int32")
        if len(step.variables) == len(self._paths):
            return faults
        indices = [[self._paths.index(v.path)] for v in step.variables]
        return ops.scatter(ops.convert_to_tensor(indices, "int32"), faults, (len(self._paths),))

    def _clip(self, step, norm):
        gradients, limit = step.gradients, self._limit
        if self._rule == "value":
            return rules.by_value(gradients, limit)
        if self._rule == "norm":
            return rules.by_norm(gradients, limit)
        if self._rule == "unit_norm":
            return rules.by_unit_norm(gradients, step.weights, [self._axes[id(v)] for v in step.variables], limit)
        if self._rule == "percentile":
            limit = rules.percentile(*self.readings.window_with(norm), limit)
        return rules.by_global_norm(gradients, norm, limit)

    def _raise_nonfinite(self, batch, logs=None):
        if logs and logs.get("nonfinite_steps") and not self._left_to_scaling:
            counts = ops.convert_to_numpy(self.model and self.readings.nonfinite)
            names = [path for path, count in zip(self._paths, counts, strict=True) if count]
            raise FloatingPointError(
                f"GradientClipping: the gradient of {', '.join(names)} was not finite in batch {batch}. The weights "
                "are those from before it. Check this batch's inputs and targets, lower the learning rate, or pass "
                '`on_nonfinite="skip"`.'
            )

    @property
    def nonfinite_steps(self) -> int:
        """The number of steps in all epochs with a gradient that was not finite; counted with `on_nonfinite`."""
        return int(self.state().get("nonfinite_steps", 0))

    def get_config(self) -> dict[str, Any]:
        return {**self._given, "on_nonfinite": self.on_nonfinite}


class _Clipped(Readings):
    def __init__(self, variables, window, watches):
        super().__init__(("norm_before_clipping", "clipped_share"), "gradient_clipping")
        if window:
            self.lasting["norms"] = self.add_variable((window,), "zeros", name="norms")
            self.lasting["seen"] = self.add_variable((), "zeros", dtype="int32", name="seen")
        self.nonfinite = None
        if watches:
            total = self.add_variable((), "zeros", dtype="int32", name="nonfinite_steps")
            self.lasting["nonfinite_steps"] = total
            self.nonfinite = self.add_variable((variables,), "zeros", dtype="int32", name="nonfinite")
            self.nonfinite_now = self.add_variable((), "zeros", dtype="int32", name="nonfinite_now")

    def window_with(self, norm):
        """The window of norms and how many it holds, with `norm`, if it is finite, in place of the oldest."""
        norms, seen = self.lasting["norms"].value, self.lasting["seen"].value
        now = ops.logical_and(ops.arange(norms.shape[0]) == seen % norms.shape[0], ops.isfinite(norm))
        count = ops.minimum(seen + 1, norms.shape[0])
        return ops.where(now, ops.cast(norm, norms.dtype), norms), count

    def update_state(self, norm, clipped, counts: Condition, faults):
        super().update_state(ops.stack([norm, ops.cast(clipped, norm.dtype)]), counts)
        if "norms" in self.lasting:
            kept = counts & ops.isfinite(norm)
            norms, _ = self.window_with(norm)
            self.lasting["norms"].assign(kept.where(norms, self.lasting["norms"].value))
            self.lasting["seen"].assign_add(kept.count("int32"))
        if faults is not None:
            self.nonfinite.assign_add(faults)
            for total in (self.lasting["nonfinite_steps"], self.nonfinite_now):
                total.assign_add(ops.max(faults))

    def result(self):
        logs = super().result()
        if self.nonfinite is not None:
            # A copy: on JAX, validation donates the variable's buffer before Keras reads the logs.
            logs["nonfinite_steps"] = ops.cast(self.nonfinite_now, self.dtype)
        return logs
