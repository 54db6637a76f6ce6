"""Parses `NAME key=value …` into a class or function and its arguments."""

import ast
import inspect
import warnings
from collections.abc import Callable, Sequence

from keras_lecture._command_line.choices import CHOICES
from keras_lecture._command_line.endings import OWNER
from keras_lecture._core import checks

_CONSTANTS = {"true": True, "false": False, "none": None}


def named(option: str, words: Sequence[str], **rest) -> tuple[Callable, dict]:
    """The class or function that `words` name, and its arguments; `rest` as in `settings`."""
    name, *pairs = words
    target = CHOICES[option][chosen(option, name)]
    return target, settings(f"{option} {name}", pairs, target, **rest)


def chosen(option: str, name: str) -> str:
    """The choice of that name; case, hyphens and underscores do not matter."""
    plain = {_plain(choice): choice for choice in CHOICES[option]}
    if _plain(name) not in plain:
        checks.one_of(OWNER, option, name, CHOICES[option])
    return plain[_plain(name)]


def settings(owner: str, pairs: Sequence[str], target: Callable, *, taken=(), required=None) -> dict:
    """Parses `["depth=20", "activation=relu"]` into keyword arguments of `target`.

    `taken` are arguments that another option sets; `required` has values for arguments without a default.
    """
    parameters = inspect.signature(target).parameters.values()
    known = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name not in taken]
    passes_on = any(p.kind is p.VAR_KEYWORD for p in parameters)
    needed = [p.name for p in parameters if p.name in known and p.default is p.empty]
    arguments = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            checks.reject(owner, "key=value", "a name, an equals sign and a value", pair)
        if key in taken or (key not in known and not passes_on):
            expectation = f"one of {', '.join(sorted(known))}" if known else "left out, because there are none"
            checks.reject(owner, "argument", expectation, key, checks.nearest(key, known))
        if key in arguments:
            checks.reject(owner, key, "given once", text)
        arguments[key] = _value(text)
    arguments = {**{name: value for name, value in (required or {}).items() if name in needed}, **arguments}
    for name in needed:
        if name not in arguments:
            checks.reject(owner, name, "given", None, f"Add {name}=…")
    return arguments


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _value(text: str):
    """A Python literal, `true`, `false` or `none`; anything else is a string."""
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.literal_eval(text)
    # Not a literal, or nested too deeply for the parser.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
