"""`Curriculum`: easy examples first, harder ones later."""

import math
from collections.abc import Callable

import numpy as np

from keras_lecture._core import checks
from keras_lecture.data._rows import examples
from keras_lecture.data.batches import Batches


class Curriculum(Batches):
    """Batches from the easiest examples at first, from more and harder ones as training goes on.

    Use it where examples differ in difficulty and the hard ones mislead a model that knows nothing yet. Costs a sort.

        examples in use at t = the ⌈p(t)·N⌉ easiest
        p(t) = min(1, s + (1 − s)·t/T) (`"linear"`),  s for t < T, then 1 (`"step"`)

    t the time in epochs, with fractions, p `pace`, s `start`, T `epochs`. The examples in use are visited once each in
    an order drawn anew, then those in use by then, until the epoch has visited as many as there are examples. From T
    on, each epoch that begins is one of `Batches`.

    Args:
        x: Inputs, see `Batches`.
        y: Targets, see `Batches`.
        batch_size: Examples in a batch. Defaults to `32`.
        difficulty: A number per example, larger for harder ones, in an array; or a function of `x` and `y` that gives
            it, such as the loss of a model trained before. The function is called once; equal numbers are put in a
            random order. Set the attribute between two epochs for difficulties that change with the model.
        pace: `"linear"`, `"step"`, or a function of the time in epochs that gives the share of the examples in use, in
            (0, 1]. Defaults to `"linear"`.
        start: Share in use at the start. Defaults to `0.2`.
        epochs: Epochs until all are in use. Defaults to `10`.
        **kwargs: `sample_weight`, `seed`, `last` and the workers' arguments of `Batches`.

    Example:
        >>> batches = keras_lecture.data.Curriculum(
        ...     np.arange(6), batch_size=3, difficulty=[0, 1, 2, 3, 4, 5], pace="step", start=0.5, epochs=1, seed=0
        ... )
        >>> [sorted(batches.order(epoch).tolist()) for epoch in (0, 1)]
        [[0, 0, 1, 1, 2, 2], [0, 1, 2, 3, 4, 5]]

    Reference:
        Deck E (harder examples late). Bengio et al., 2009, doi:10.1145/1553374.1553380; Hacohen and Weinshall, 2019,
        arXiv:1904.03626, algorithm 1, which draws each batch by itself; here an example comes again only when all in
        use have come. `fit` has to be told `shuffle=False`, or it takes the batches of an epoch in another order; a
        warning says so where it does.
    """

    order_matters = True

    def __init__(
        self,
        x,
        y=None,
        batch_size: int = 32,
        *,
        difficulty,
        pace: str | Callable[[float], float] = "linear",
        start: float = 0.2,
        epochs: float = 10,
        **kwargs,
    ):
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
        """A number per example, larger for harder ones."""
        return self._difficulty

    @difficulty.setter
    def difficulty(self, values):
        try:
            values = examples.array(values).astype("float64")
        except (TypeError, ValueError):
            checks.reject("Curriculum", "difficulty", f"{self._count} numbers", type(values), error=TypeError)
        if values.shape not in ((self._count,), (self._count, 1)) or np.isnan(values).any():
            checks.reject("Curriculum", "difficulty", f"{self._count} numbers, none of them NaN", values.shape)
        self._difficulty = values.reshape(-1)
        # A key that no epoch has: equal numbers stand in the same order in all of them.
        ties = self._random(2**64 - 1).permutation(self._count)
        self._easiest = np.lexsort((ties, self._difficulty))
        self._begin(self._epoch)

    def share(self, time: float) -> float:
        """The share of the examples in use at `time`, in epochs."""
        if callable(self.pace):
            share = float(self.pace(time))
            if not 0 < share <= 1:
                checks.reject("Curriculum", "pace", "a function with values in (0, 1]", share, f"That is at {time}.")
            return share
        if self.pace == "step":
            return self.start if time < self.epochs else 1.0
        return min(1.0, self.start + (1 - self.start) * time / self.epochs)

    def order(self, epoch: int) -> np.ndarray:
        """The rows of the examples in the order in which `epoch` visits them."""
        random = self._random(epoch)
        passes, visited = [], 0
        while visited < self._count:
            in_use = math.ceil(round(self.share(epoch + visited / self._count) * self._count, 6))
            passes.append(random.permutation(np.sort(self._easiest[: max(in_use, 1)])))
            visited += len(passes[-1])
        return np.concatenate(passes)[: self._count]

    def state(self) -> dict[str, np.ndarray]:
        """What a resumed training needs, see `keras_lecture._core.stateful`."""
        return {**super().state(), "difficulty": self._difficulty}

    def restore(self, state: dict[str, np.ndarray]):
        """Goes on from the beginning of the epoch of `state`."""
        super().restore(state)
        self.difficulty = state["difficulty"]
