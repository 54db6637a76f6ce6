"""`Curriculum`: easy examples first, harder examples later."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_lecture._core import checks
from keras_lecture.data._rows import examples
from keras_lecture.data.batches import Batches


class Curriculum(Batches):
    """Batches of the easiest examples at first, and of more and harder examples as training proceeds.

    Use it where examples differ in difficulty and hard examples mislead an untrained model. It costs one sort.

        examples in use at t = the ⌈p(t)·N⌉ easiest examples
        p(t) = min(1, s + (1 − s)·t/T) (`"linear"`),  s for t < T, then 1 (`"step"`)

    t the time in epochs, including fractions, p `pace`, s `start`, T `epochs`. An epoch consists of passes: each visits
    the examples in use when it begins once, in random order, until the epoch has visited N examples. From T on, the
    epochs are those of `Batches`.

    Args:
        x: Inputs, see `Batches`.
        y: Targets, see `Batches`.
        batch_size: Examples in a batch. Defaults to `32`.
        difficulty: An array with one number per example, larger for harder examples; or a function of `x` and `y` that
            returns it, such as the loss of a previously trained model. The function is called once; ties are ordered at
            random. If the difficulties change with the model, set the attribute between two epochs.
        pace: `"linear"`, `"step"`, or a function of the time in epochs that returns the fraction of the examples in
            use, in (0, 1]. Defaults to `"linear"`.
        start: Fraction in use at the start. Defaults to `0.2`.
        epochs: Number of epochs until all examples are in use. Defaults to `10`.
        **kwargs: `sample_weight`, `seed`, `last` and the worker arguments of `Batches`.

    Example:
        >>> batches = keras_lecture.data.Curriculum(
        ...     np.arange(6), batch_size=3, difficulty=[0, 1, 2, 3, 4, 5], pace="step", start=0.5, epochs=1, seed=0
        ... )
        >>> [sorted(batches.order(epoch).tolist()) for epoch in (0, 1)]
        [[0, 0, 1, 1, 2, 2], [0, 1, 2, 3, 4, 5]]

    Reference:
        Deck E (harder examples late). Bengio et al., 2009, doi:10.1145/1553374.1553380; Hacohen and Weinshall, 2019,
        arXiv:1904.03626, algorithm 1, which draws each batch independently; here an example is repeated only after all
        examples in use have been visited. Pass `shuffle=False` to `fit`; otherwise it shuffles the batches of an epoch,
        and a warning is given.
    """

    order_matters = True

    def __init__(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        *,
        difficulty: Any,
        pace: str | Callable[[float], float] = "linear",
        start: float = 0.2,
        epochs: float = 10,
        **kwargs: Any,
    ) -> None:
        if not callable(pace):
            checks.one_of("Curriculum", "pace", pace, ("linear", "step"), "Or give a function of the time in epochs.")
        checks.number("Curriculum", "start", start, "(0, 1]")
        checks.number("Curriculum", "epochs", epochs, "(0, ∞)")
        super().__init__(x, y, batch_size, **kwargs)
        self.pace = pace
        self.start = start
        self.epochs = epochs
        self.difficulty = difficulty(*self._arrays[:2]) if callable(difficulty) else difficulty

    @property
    def difficulty(self) -> np.ndarray:
        """One number per example, larger for harder examples."""
        return self._difficulty

    @difficulty.setter
    def difficulty(self, values: Any) -> None:
        try:
            values = examples.array(values).astype("float64")
        except (TypeError, ValueError):
            checks.reject("Curriculum", "difficulty", f"{self._count} numbers", type(values), error=TypeError)
        if values.shape not in ((self._count,), (self._count, 1)) or np.isnan(values).any():
            checks.reject("Curriculum", "difficulty", f"{self._count} numbers, none of them NaN", values.shape)
        self._difficulty = values.reshape(-1)
        # A key that no epoch has, so that ties have the same order in all epochs.
        ties = self._random(2**64 - 1).permutation(self._count)
        self._easiest = np.lexsort((ties, self._difficulty))
        self._begin(self._epoch)

    def share(self, time: float) -> float:
        """The fraction of the examples in use at `time`, in epochs."""
        if callable(self.pace):
            share = float(self.pace(time))
            if not 0 < share <= 1:
                remedy = f"This is the value at time {time}."
                checks.reject("Curriculum", "pace", "a function with values in (0, 1]", share, remedy)
            return share
        if self.pace == "step":
            return self.start if time < self.epochs else 1.0
        return min(1.0, self.start + (1 - self.start) * time / self.epochs)

    def order(self, epoch: int) -> np.ndarray:
        random = self._random(epoch)
        passes, visited = [], 0
        while visited < self._count:
            in_use = math.ceil(round(self.share(epoch + visited / self._count) * self._count, 6))
            passes.append(random.permutation(np.sort(self._easiest[: max(in_use, 1)])))
            visited += len(passes[-1])
        return np.concatenate(passes)[: self._count]

    def state(self) -> dict[str, np.ndarray]:
        """State for resuming: seed, epoch and difficulties, see `keras_lecture._core.stateful`."""
        return {**super().state(), "difficulty": self._difficulty}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        super().restore(state)
        self.difficulty = state["difficulty"]
