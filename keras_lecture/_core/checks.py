"""Argument checks; only this file words argument errors.

Every message names the owner, the argument, the expectation, the received value and a remedy.
"""

import difflib
import functools
import numbers
from collections.abc import Collection


def reject(owner: str, argument: str, expectation: str, received, remedy: str = "", error: type = ValueError):
    """Raises an argument error in the common wording."""
    sentence = f"{owner}: `{argument}` must be {expectation}. Received: {argument}={received!r}."
    raise error(f"{sentence} {remedy}".rstrip())


def number(owner: str, argument: str, value, interval: str = "(-∞, ∞)", remedy: str = ""):
    """Requires a real number in `interval`, written as in mathematics: `"[0, 1)"`, `"(0, ∞)"`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        reject(owner, argument, f"a number in {interval}", value, remedy, TypeError)
    if not _inside(value, interval):
        reject(owner, argument, f"in {interval}", value, remedy)


def whole(owner: str, argument: str, value, interval: str = "[1, ∞)", remedy: str = ""):
    """Requires a whole number in `interval`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        reject(owner, argument, f"a whole number in {interval}", value, remedy, TypeError)
    if not _inside(value, interval):
        reject(owner, argument, f"a whole number in {interval}", value, remedy)


def boolean(owner: str, argument: str, value, remedy: str = ""):
    """Requires `True` or `False`."""
    if not isinstance(value, bool):
        reject(owner, argument, "True or False", value, remedy, TypeError)


def one_of(owner: str, argument: str, value, choices: Collection, remedy: str = ""):
    """Requires one of the `choices`."""
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        listed = ", ".join(sorted(repr(choice) for choice in choices))
        reject(owner, argument, f"one of {listed}", value, f"{nearest(value, choices)} {remedy}".strip())


def nearest(value, choices: Collection) -> str:
    """A suggestion of the most similar of the `choices`; empty if none is similar."""
    words = [choice for choice in choices if isinstance(choice, str)]
    similar = difflib.get_close_matches(value, words, 1) if isinstance(value, str) else ()
    return f"Did you mean {similar[0]!r}?" if similar else ""


def instance(owner: str, argument: str, value, kind, expectation: str, remedy: str = ""):
    """Requires an object of class `kind`."""
    if not isinstance(value, kind):
        reject(owner, argument, expectation, value, remedy, TypeError)


def rank(owner: str, argument: str, shape, minimum: int, remedy: str = ""):
    """Requires a shape with at least `minimum` axes."""
    if len(shape) < minimum:
        reject(owner, argument, f"a tensor with at least {minimum} axes", tuple(shape), remedy)


def same_shape(owner: str, argument: str, shape, expected, remedy: str = ""):
    """Requires a shape equal to `expected`; an unknown size (`None`) matches any size."""
    fits = len(shape) == len(expected) and all(
        a == b or a is None or b is None for a, b in zip(shape, expected, strict=True)
    )
    if not fits:
        reject(owner, argument, f"a tensor of shape {tuple(expected)}", tuple(shape), remedy)


@functools.cache
def _bounds(interval: str) -> tuple[float, float]:
    low, high = (float(bound.replace("∞", "inf")) for bound in interval[1:-1].split(","))
    return low, high


def _inside(value, interval: str) -> bool:
    """Reads the bounds from the text that the message prints, so that the two cannot disagree."""
    low, high = _bounds(interval)
    above = value >= low if interval[0] == "[" else value > low
    below = value <= high if interval[-1] == "]" else value < high
    return above and below
