"""The ward: programs with one injected fault and their healthy twins, and healthy programs that mislead naive rules.

    @case("learning-rate-too-high", family="mlp")
    def digits_with_a_rate_of_ten(sick, seed): … return Run(model, x, y, …)

`sick=False` gives the healthy twin: the same program without the fault.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras


@dataclasses.dataclass
class Run:
    """A compiled model and the arguments of its `fit`; `score(model)` is larger for a better model."""

    model: keras.Model
    x: Any
    y: Any = None
    validation_data: Any = None
    fit: dict[str, Any] = dataclasses.field(default_factory=dict)
    score: Callable[[keras.Model], float] | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """A program with a fault: the rule that must find it, and the rules that are as good an answer."""

    name: str
    build: Callable[[bool, int], Run]
    fault: str
    equivalents: tuple[str, ...]
    family: str
    # The publication or repository of a program that others wrote, or "".
    source: str
    # Held out: not looked at while rules are written.
    held_out: bool
    # Whether the healthy twin must reach a clearly better score; `False` for faults that scores cannot see.
    shows: bool = True


@dataclasses.dataclass(frozen=True)
class Healthy:
    """A healthy program, and the naive rule that it misleads."""

    name: str
    build: Callable[[int], Run]
    misleads: str
    family: str
    held_out: bool


CASES: dict[str, Case] = {}
HEALTHY: dict[str, Healthy] = {}


def case(
    fault: str, *equivalents: str, family: str, source: str = "", held_out: bool = False, shows: bool = True
) -> Callable[..., Any]:
    """Enters a sick program: `build(sick, seed) → Run`."""

    def enter(build):
        assert build.__name__ not in CASES, f"two cases are named {build.__name__}"
        CASES[build.__name__] = Case(build.__name__, build, fault, equivalents, family, source, held_out, shows)
        return build

    return enter


def healthy(misleads: str, *, family: str, held_out: bool = False) -> Callable[..., Any]:
    """Enters a healthy program: `build(seed) → Run`."""

    def enter(build):
        assert build.__name__ not in HEALTHY, f"two healthy programs are named {build.__name__}"
        HEALTHY[build.__name__] = Healthy(build.__name__, build, misleads, family, held_out)
        return build

    return enter
