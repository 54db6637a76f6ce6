"""The variables that move in training steps, and those that should."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core.listing import listed
from keras_lecture.diagnosis._facts import variables
from keras_lecture.diagnosis._facts.entries import Facts, absent, entry
from keras_lecture.diagnosis._facts.recorded_pass import same
from keras_lecture.optimizers._search.closure import Closure

# Slots that hold a mean of the gradients or the latest update: where they are not zero, the step is not zero.
_MOMENTS = ("_momentums", "momentums", "_m")
_OWN_MOMENTS = ("mean", "velocity")
# In these they hold something else.
_OTHERS = ("ScheduleFreeAdamW", "Muon")


class Movement:
    """The movement of a model's variables over the observed training steps.

    A weight counts as unmoved if none of its elements changed in any step in which the optimizer applied an update with
    a learning rate above 0.
    """

    def __init__(self, model: keras.Model) -> None:
        self.steps = 0
        self.applied = 0
        self.rate: float | None = None
        self.named = variables.named_variables(model)
        self._keys = {id(v): key for key, v in self.named.items()}
        self._optimizer = variables.innermost(getattr(model, "optimizer", None))
        self._outer = getattr(model, "optimizer", None)
        self.trainable = [self._keys[id(v)] for v in model.trainable_variables]
        self.frozen = [self._keys[id(v)] for v in variables.frozen(model) if id(v) in self._keys]
        self.moved: set[str] = set()
        self.moved_when_applied: set[str] = set()
        self.zero: dict[str, bool] = {}
        self.lost: set[str] = set()
        self._slots = self._moments()
        # Of each weight: elements in all steps with a step that is not zero, and those of them that stood still.
        self._pushed: dict[str, list[int]] = {}
        self._rates: list[float] = []
        self._counts: list[tuple[float, float]] = []
        self._skipped = False

    def _moments(self):
        """`{key of a weight: key of its first moment}`, for optimizers that keep one."""
        optimizer = self._optimizer
        if type(optimizer).__name__ in _OTHERS or getattr(optimizer, "use_ema", False):
            return {}
        lists = [getattr(optimizer, name, None) for name in _MOMENTS]
        own = zip(getattr(optimizer, "slots", ()), getattr(optimizer, "_slots", ()), strict=False)
        lists += [slots for name, slots in own if name in _OWN_MOMENTS]
        slots = next((each for each in lists if each), ())
        pairs = zip(getattr(optimizer, "_trainable_variables", ()), slots, strict=False)
        return {self._keys.get(id(v)): self._keys[id(slot)] for v, slot in pairs if id(slot) in self._keys}

    def add(self, before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> None:
        """Adds one step."""
        self.steps += 1
        moved = {key for key, value in before.items() if key in after and not same(_wide(value), _wide(after[key]))}
        self.moved |= moved
        self._count(before, after, not moved.isdisjoint(self.trainable))
        self.rate = self._rate(before)
        if not self._has_applied(before, after) or not self.rate:
            return
        self.applied += 1
        self.moved_when_applied |= moved
        self._rates.append(self.rate)
        for key in self.trainable:
            if key not in before:
                continue
            self.zero[key] = not np.any(_wide(before[key]))
            if not np.all(np.isfinite(_wide(before[key]))):
                self.lost.add(key)
            if self._slots.get(key) in after and self.named[key].constraint is None and key not in self.lost:
                self._compare(key, before[key], after[key], after[self._slots[key]])

    def _compare(self, key, before, after, moment):
        """Counts the elements whose step is not zero, and those of them that it did not move."""
        if np.shape(moment) == np.shape(after):
            pushed = _wide(moment) != 0
            counts = self._pushed.setdefault(key, [0, 0])
            counts[0] += int(pushed.sum())
            counts[1] += int((pushed & (_wide(before) == _wide(after))).sum())

    def result(self, facts: Facts, custom: bool, no_gradient: Any) -> Facts:
        """The facts about movement; `facts` are those before the first step."""
        found = self._weights(custom, no_gradient)
        moving = [key for key in self.frozen if key in self.moved]
        if not self.frozen:
            found["frozen_weights_stay"] = absent("no weight is frozen")
        elif custom:
            found["frozen_weights_stay"] = entry(None, None, "the model's own `train_step` may assign frozen weights")
        else:
            detail = f"{listed(moving)} moved" if moving else f"{len(self.frozen)} frozen weights"
            found["frozen_weights_stay"] = entry(not moving, moving[0] if moving else None, detail)
        for name in ("statistics_move", "random_state_moves"):
            found[name] = self._expected(facts.get(name, {}))
        found["iterations_advance"] = self._iterations(custom)
        return found

    def _weights(self, custom, no_gradient):
        reason = self._reason(custom)
        if reason:
            return {name: entry(None, None, reason) for name in ("weights_move", "updates_above_rounding")}
        rounded = self._rounded()
        unmoved = [key for key in self.trainable if key not in self.moved_when_applied and not self._held(key)]
        detail = f"{len(self.trainable) - len(unmoved)} weights moved, the others without a gradient" if unmoved else ""
        facts = {"weights_move": entry(True, None, detail), "updates_above_rounding": self._rounding(rounded)}
        if unmoved and no_gradient is None:
            facts["weights_move"] = entry(None, None, f"the gradients of {listed(unmoved)} are unknown")
        elif unmoved:
            facts |= self._by_probe(unmoved, set(no_gradient), rounded)
            if facts["weights_move"]["holds"] and set(self.trainable) <= set(no_gradient):
                facts["weights_move"] = absent("no weight has a gradient")
        return facts

    def _rounded(self):
        """The weights of which most elements do not move although their step is not zero."""
        return [key for key, (pushed, still) in self._pushed.items() if 2 * still > pushed]

    def _rounding(self, rounded):
        if not self._pushed:
            return entry(None, None, "the optimizer keeps no mean of the gradients")
        if self._rates[-1] > 1.01 * self._rates[0]:
            return entry(None, None, "the learning rate still rises")
        if not rounded:
            return entry(True, None, "")
        pushed, still = (sum(self._pushed[key][part] for key in rounded) for part in (0, 1))
        detail = f"in {self.applied} steps {still} of {pushed} steps of the elements of {listed(rounded)} were lost"
        return entry(False, rounded[0], detail)

    def _by_probe(self, unmoved, no_gradient, rounded):
        """Weights with a gradient on the probe that did not move: the batches may have given them none."""
        suspects = [key for key in unmoved if key not in no_gradient]
        if not suspects:
            return {}
        candidates = [key for key in self.trainable if key not in no_gradient]
        # If nothing at all moves, not even a weight of zeros, whose first update cannot be lost in rounding.
        everything = len(suspects) == len(candidates) and any(self.zero.get(key) for key in suspects)
        if not everything:
            suspects = [key for key in suspects if key not in rounded]
        if not suspects:
            return {}
        detail = f"{listed(suspects)} did not move in {self.applied} steps, with a gradient on the probe"
        found = entry(False, suspects[0], detail)
        if not everything:
            found["severity"] = "low"
        return {"weights_move": found}

    def _reason(self, custom):
        """Why the movement of weights cannot be judged."""
        if custom:
            return "the model's own `train_step` decides which weights move"
        if not self.applied:
            return "no update with a learning rate above 0 was seen"
        if isinstance(self._optimizer, Closure) and not self.moved_when_applied & set(self.trainable):
            return "the line search found no step"
        return None

    def _held(self, key):
        """Whether something else than the gradient may hold a weight in its place; nan remains nan."""
        if key in self.lost:
            return True
        variable = self.named[key]
        shrinks = any(getattr(self._optimizer, name, None) for name in ("l1", "l1_regularization_strength"))
        return variable.constraint is not None or (shrinks and self.zero.get(key, False))

    def _expected(self, fact):
        """Whether the variables moved that a training pass moves."""
        paths = [path for path in fact.get("paths", ()) if path in self.named]
        if fact.get("holds") is False:
            return fact
        if not paths:
            return (
                absent("the model has nothing that a training pass moves in this way")
                if "paths" in fact
                else entry(None, None, "no training pass could be made")
            )
        still = [path for path in paths if path not in self.moved]
        detail = f"{listed(still)} did not move in {self.steps} steps" if still else f"{len(paths)} variables moved"
        return {**entry(not still, still[0] if still else None, detail), "paths": paths}

    def _iterations(self, custom):
        if custom or not self._counts:
            return entry(None, None, "the model's own `train_step` counts" if custom else "no count was seen")
        if self._skipped:
            return entry(None, None, "a step was skipped, by loss scaling or a protection")
        still = any(after <= before for before, after in self._counts)
        found = entry(not still, None, f"{self._counts[0][0]:.0f} before and {self._counts[-1][1]:.0f} after")
        if still and not callable(getattr(self._optimizer, "_learning_rate", None)):
            found["severity"] = "low"
        return found

    def _count(self, before, after, has_moved):
        key = self._keys.get(id(getattr(self._optimizer, "_iterations", None)))
        if key in before and key in after:
            if has_moved or after[key] > before[key]:
                self._counts.append((float(before[key]), float(after[key])))
            else:
                # A protection against values that are not finite may do that.
                self._skipped = True
        scale = self._keys.get(id(getattr(self._outer, "dynamic_scale", None)))
        if scale in before and scale in after and float(after[scale]) < float(before[scale]):
            self._skipped = True

    def _has_applied(self, before, after):
        """Whether an update was applied, and the gradient not only accumulated or dropped by loss scaling."""
        key = self._keys.get(id(getattr(self._optimizer, "_iterations", None)))
        if key not in before or key not in after:
            return True
        first, last = int(before[key]), int(after[key])
        period = getattr(self._optimizer, "gradient_accumulation_steps", None) or 1
        if first == last:
            # An optimizer that does not count, unless loss scaling skipped the step.
            return period == 1 and not self._skipped
        return any((step + 1) % period == 0 for step in range(first, last))

    def _rate(self, before):
        """The learning rate of a step; `None` if unknown."""
        rate = getattr(self._optimizer, "_learning_rate", None)
        key = self._keys.get(id(rate))
        try:
            if key in before:
                return float(before[key])
            if callable(rate) and isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
                step = self._keys.get(id(self._optimizer._iterations))
                period = getattr(self._optimizer, "gradient_accumulation_steps", None) or 1
                return float(ops.convert_to_numpy(rate(ops.convert_to_tensor(int(before[step]) // period))))
        except Exception:
            return None
        return None


def _wide(values):
    values = np.asarray(values)
    return values if values.dtype.kind in "iub" else values.astype("float64")
