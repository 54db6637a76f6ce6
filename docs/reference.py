"""Writes the reference pages: one for each public name, from its docstring, and one for each subpackage.

The docstrings are Markdown, with formulas in indented blocks; their sections become headings.
"""

import inspect
import re
from operator import attrgetter
from pathlib import Path

import keras
import uses

import keras_lecture
import keras_lecture.figures

# Not in `__all__`: the figures need matplotlib and are imported on demand.
AREAS = sorted([*keras_lecture.__all__, "figures"])
SECTIONS = ("Args", "Call arguments", "Returns", "Example", "Reference")
HEADINGS = {"Args": "Arguments", "Example": "Example", "Reference": "Reference"}


def names():
    """Every public class and function by its path for users: `{"losses.L1": class, …}`."""

    def walk(path, module):
        for name in module.__all__:
            unit = getattr(module, name)
            yield from walk(f"{path}.{name}", unit) if inspect.ismodule(unit) else [(f"{path}.{name}", unit)]

    return {path: unit for area in AREAS for path, unit in walk(area, getattr(keras_lecture, area))}


def write(folder):
    """Writes the pages that changed, so that Sphinx rereads no others, and removes stale ones."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    public = names()
    using = [*uses.scripts(public), *uses.figures(public)]
    pages = {path: page(path, unit, public, using) for path, unit in public.items()}
    pages |= {area: area_page(area, public) for area in AREAS}
    pages["index"] = index_page(public)
    for stale in {file.stem for file in folder.glob("*.md")} - set(pages):
        (folder / f"{stale}.md").unlink()
    for name, text in pages.items():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def page(path, unit, public, using=()):
    """Markdown page of one class or function; `using` are the pages that may use it."""
    body, sections = split(documentation(path, unit))
    area, name = path.rpartition(".")[::2]
    kind = "class" if inspect.isclass(unit) else "function"
    others = {other: it for other, it in public.items() if it is not unit}
    module = f"keras_lecture.{area}"
    directive = f"```{{py:{kind}}} {name}{signature(unit)}\n:module: {module}\n```"
    parts = [f"# {name}", directive, linked(body, area, others)]
    for section, text in sections.items():
        heading = f"## {HEADINGS.get(section, section)}"
        if section == "Reference" and in_keras(path):
            heading += ", and differences from Keras"
        if section == "Example":
            parts += [heading, f"```pycon\n{text}\n```"]
        elif section in ("Args", "Call arguments"):
            parts += [heading, linked(arguments(text), area, others)]
        else:
            parts += [heading, linked(text, area, others)]
    found = list(methods(unit, set(public.values()))) if kind == "class" else []
    if found:
        parts.append("## Methods")
    for method, role, given, text in found:
        target = f"{name}.{method}{given}\n:module: {module}"
        parts.append(f"::::{{py:{role}}} {target}\n\n{linked(text, area, others)}\n::::")
    parts += uses.ending(path, unit, public, using)
    return "\n\n".join(parts) + "\n"


def in_keras(path):
    """Keras's own class or function of the same name in the same place, or None."""
    try:
        return attrgetter(path)(keras)
    except AttributeError:
        return None


def area_page(area, public):
    """Page of a subpackage: a table of its names with their first sentences."""
    module = getattr(keras_lecture, area)
    inside = {path.removeprefix(f"{area}."): path for path in public if path.startswith(f"{area}.")}
    rows = [f"{{py:obj}}`{name} <keras_lecture.{path}>` | {first_line(public[path])}" for name, path in inside.items()]
    entries = [f"{name} <{path}>" for name, path in inside.items()]
    return overview(f"keras_lecture.{area}", inspect.getdoc(module), rows, entries)


def index_page(public):
    """All names by subpackage."""
    entries = []
    for area in AREAS:
        inside = [path for path in public if path.startswith(f"{area}.")]
        listed = " · ".join(f"{{py:obj}}`{path.removeprefix(f'{area}.')} <keras_lecture.{path}>`" for path in inside)
        entries.append(f"[{area}]({area}.md)\n: {first_line(getattr(keras_lecture, area))}\n\n  {listed}")
    intro = "Import each name from its subpackage: `keras_lecture.losses.L1`."
    return "\n\n".join(("# Reference", intro, *entries, contents(AREAS))) + "\n"


def overview(title, intro, rows, entries):
    table = "\n".join(f"| {row} |" for row in ("  |  ", "---|---", *rows))
    return f"# {title}\n\n{intro}\n\n{table}\n\n{contents(entries)}\n"


def contents(entries):
    return "\n".join(("```{toctree}", ":hidden:", "", *entries, "```"))


def documentation(path, unit):
    if not unit.__doc__:
        raise ValueError(f"{path} has no docstring, so it cannot have a page.")
    return inspect.cleandoc(unit.__doc__)


def split(text):
    """The body of a docstring and its dedented sections."""
    headings = "|".join(SECTIONS)
    body, *rest = re.split(rf"^({headings}):$\n", text, flags=re.MULTILINE)
    return body.strip(), {rest[i]: inspect.cleandoc(rest[i + 1]) for i in range(0, len(rest), 2)}


def arguments(text):
    """Definition list of `name: text` entries."""
    entries = re.split(r"^(\*{0,2}\w[\w, *]*): ", text, flags=re.MULTILINE)[1:]
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return "\n\n".join(f"`{name}`\n: " + re.sub(r"\n\s*", "\n  ", entry.strip()) for name, entry in pairs)


def signature(unit):
    """The signature with types as users write them: without modules, and `Any`, the alias of `Tensor`, as `Tensor`."""
    text = re.sub(r"\b(?:\w+\.)+(?=[A-Z]\w*)", "", str(inspect.signature(unit)))
    text = re.sub(r"(\*\*\w+): Any\b", r"\1", text)
    # `dict[str, Any]` is a configuration.
    text = re.sub(r"(?<!str, )\bAny\b", "Tensor", text)
    text = re.sub(r"-> '(\w+)'", r"-> \1", text)
    return text.removesuffix(" -> None") if inspect.isclass(unit) else text


def methods(cls, public):
    """The methods for users, with their docstrings: those that the docstring of the class names or that Keras has.

    All other methods are internal. Bases with a page of their own are left out.
    """
    seen = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("keras_lecture") or (base in public and base is not cls):
            continue
        for name, method in vars(base).items():
            if name.startswith("_") or name in seen or not method.__doc__ or not is_for_users(cls, name, method):
                continue
            seen.add(name)
            if isinstance(method, property):
                yield name, "property", "", inspect.cleandoc(method.__doc__)
            elif inspect.isfunction(method):
                given = re.sub(r"^\(self(, )?", "(", signature(method))
                yield name, "method", given, inspect.cleandoc(method.__doc__)


def is_for_users(cls, name, method):
    """Whether the docstring of the class names the method, or the class replaces a method of Keras."""
    of_keras = any(base.__module__.startswith("keras.") and name in vars(base) for base in cls.__mro__)
    # A property such as `compute_dtype` is replaced for Keras, not for users.
    if of_keras and inspect.isfunction(method):
        return True
    is_argument = name in inspect.signature(cls).parameters
    return not is_argument and re.search(rf"`{name}(\([^`]*\))?`|\.{name}\(", cls.__doc__ or "") is not None


def linked(text, area, public):
    """Links every public `name` in the Markdown to its page, except in indented blocks."""

    def target(name, called):
        path = name.removeprefix("keras_lecture.")
        if path in public or f"{area}.{path}" in public:
            return path if path in public else f"{area}.{path}"
        found = [other for other in public if other.rpartition(".")[2] == path]
        # A lower-case word may be an argument with the name of a function.
        return found[0] if len(found) == 1 and (called or not path.islower()) else None

    def link(match):
        path = target(match[1], match[2])
        return f"{{py:obj}}`{match[1]}{match[2] or ''} <keras_lecture.{path}>`" if path else match[0]

    def line(text):
        if text.startswith("    "):
            return text
        text = re.sub(r"(?<![`\w}])`([A-Za-z_.]+[A-Za-z0-9_]*)(\([^`<>]*\))?`(?!`)", link, text)
        return re.sub(r"\barXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)

    return "\n".join(line(one) for one in text.splitlines())


def first_line(unit):
    return inspect.getdoc(unit).splitlines()[0].replace("|", "\\|")
