"""Entries of the section `invariants` of a record."""

from typing import Any

Facts = dict[str, dict[str, Any]]


def entry(holds: bool | None, where: str | None, detail: str) -> dict[str, Any]:
    """Whether an invariant holds, the first layer or variable concerned, and a sentence."""
    return {"holds": holds, "where": where, "detail": detail}


def absent(detail: str) -> dict[str, Any]:
    """The entry of an invariant of something that the run does not have; a sentence says what."""
    return {**entry(None, None, detail), "absent": True}
