"""The two-dimensional surfaces of `race`, in arithmetic that takes numbers, arrays and tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# Points of the grid for the contour lines: columns, rows.
GRID = 60, 45


@dataclass(frozen=True)
class Surface:
    """A height over the plane, a start, the minima and their height, and the part of the plane to look at."""

    formula: str
    height: Callable[[Any, Any], Any]
    start: tuple[float, float]
    minima: tuple[tuple[float, float], ...]
    lowest: float
    x: tuple[float, float]
    y: tuple[float, float]

    def is_at_its_lowest(self, w: np.ndarray) -> bool:
        """Whether the point w is as low as float32 can tell."""
        return bool(self.height(*w.astype("float64")) <= self.lowest + 1e-9)

    def data(self) -> dict[str, Any]:
        """Plain data with the heights above the minimum on a grid, rows from low to high y."""
        x, y = np.meshgrid(np.linspace(*self.x, GRID[0]), np.linspace(*self.y, GRID[1]))
        heights = self.height(x, y) - self.lowest
        return {
            "formula": self.formula,
            "start": list(self.start),
            "minima": [list(point) for point in self.minima],
            "x": list(self.x),
            "y": list(self.y),
            "heights": [[float(f"{value:.3g}") for value in row] for row in heights],
        }


def _ravine(x, y):
    return 0.5 * (x * x + 30.0 * y * y)


def _saddle(x, y):
    return 0.5 * (x * x - y * y) + 0.25 * y * y * y * y


def _beale(x, y):
    first, second, third = 1.5 - x + x * y, 2.25 - x + x * y * y, 2.625 - x + x * y * y * y
    return first * first + second * second + third * third


def _rosenbrock(x, y):
    along, across = 1.0 - x, y - x * x
    return along * along + 100.0 * across * across


SURFACES = {
    "ravine": Surface("½(x² + 30y²)", _ravine, (-2.0, 0.6), ((0.0, 0.0),), 0.0, (-2.4, 1.0), (-0.9, 0.9)),
    "saddle": Surface(
        "½(x² − y²) + ¼y⁴", _saddle, (-1.5, 0.01), ((0.0, -1.0), (0.0, 1.0)), -0.25, (-1.9, 1.1), (-1.5, 1.5)
    ),
    "beale": Surface(
        "(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²",
        _beale,
        (1.0, 1.5),
        ((3.0, 0.5),),
        0.0,
        (-0.5, 4.0),
        (-1.2, 1.9),
    ),
    "rosenbrock": Surface(
        "(1 − x)² + 100(y − x²)²", _rosenbrock, (-1.2, 1.0), ((1.0, 1.0),), 0.0, (-1.8, 1.6), (-0.7, 2.2)
    ),
}
