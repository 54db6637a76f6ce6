"""The reference: one Markdown page for each public name, from its docstring, and one for each subpackage.

A docstring of this project is Markdown already, formulas in indented blocks included; its sections become headings.
"""

import inspect
import re
from pathlib import Path

import keras_lecture
import keras_lecture.figures

# The figures are imported on demand: they need matplotlib.
AREAS = sorted([*keras_lecture.__all__, "figures"])
SECTIONS = ("Args", "Call arguments", "Returns", "Example", "Reference")
HEADINGS = {"Args": "Arguments", "Example": "Example", "Reference": "Reference"}


def names():
    """`{"losses.L1": class, …}`: every public class and function under the path that a user writes."""

    def walk(path, module):
        for name in module.__all__:
            unit = getattr(module, name)
            yield from walk(f"{path}.{name}", unit) if inspect.ismodule(unit) else [(f"{path}.{name}", unit)]

    return {path: unit for area in AREAS for path, unit in walk(area, getattr(keras_lecture, area))}


def write(folder):
    """Writes all pages, and nothing that has not changed: Sphinx reads again what is newer."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    public = names()
    pages = {path: page(path, unit, public) for path, unit in public.items()}
    pages |= {area: area_page(area, public) for area in AREAS}
    pages["index"] = index_page()
    for stale in {file.stem for file in folder.glob("*.md")} - set(pages):
        (folder / f"{stale}.md").unlink()
    for name, text in pages.items():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def page(path, unit, public):
    """The page of one class or function."""
    body, sections = split(documentation(path, unit))
    area, name = path.rpartition(".")[::2]
    kind = "class" if inspect.isclass(unit) else "function"
    others = {other: it for other, it in public.items() if it is not unit}
    parts = [f"# {name}", f"```{{py:{kind}}} keras_lecture.{path}{signature(unit)}\n```", linked(body, area, others)]
    for section, text in sections.items():
        heading = f"## {HEADINGS.get(section, section)}"
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
        target = f"keras_lecture.{path}.{method}{given}"
        parts.append(f"::::{{py:{role}}} {target}\n{linked(text, area, others)}\n::::")
    return "\n\n".join(parts) + "\n"


def area_page(area, public):
    """The table of a subpackage: its names with the first sentence of each."""
    module = getattr(keras_lecture, area)
    inside = {path.removeprefix(f"{area}."): path for path in public if path.startswith(f"{area}.")}
    rows = [f"{{py:obj}}`{name} <keras_lecture.{path}>` | {first_line(public[path])}" for name, path in inside.items()]
    entries = [f"{name} <{path}>" for name, path in inside.items()]
    return overview(f"keras_lecture.{area}", inspect.getdoc(module), rows, entries)


def index_page():
    rows = [f"[{area}]({area}.md) | {first_line(getattr(keras_lecture, area))}" for area in AREAS]
    intro = "Every public name is reached through its subpackage: `keras_lecture.losses.L1`."
    return overview("Reference", intro, rows, AREAS)


def overview(title, intro, rows, entries):
    table = "\n".join(f"| {row} |" for row in ("  |  ", "---|---", *rows))
    contents = "\n".join(("```{toctree}", ":hidden:", "", *entries, "```"))
    return f"# {title}\n\n{intro}\n\n{table}\n\n{contents}\n"


def documentation(path, unit):
    if not unit.__doc__:
        raise ValueError(f"{path} has no docstring: there is nothing to make its page of.")
    return inspect.cleandoc(unit.__doc__)


def split(text):
    """The body of a docstring, and its sections without their indent."""
    headings = "|".join(SECTIONS)
    body, *rest = re.split(rf"^({headings}):$\n", text, flags=re.MULTILINE)
    return body.strip(), {rest[i]: inspect.cleandoc(rest[i + 1]) for i in range(0, len(rest), 2)}


def arguments(text):
    """`name: text` entries as a definition list."""
    entries = re.split(r"^(\*{0,2}\w[\w, *]*): ", text, flags=re.MULTILINE)[1:]
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return "\n\n".join(f"`{name}`\n: " + re.sub(r"\n\s*", "\n  ", entry.strip()) for name, entry in pairs)


def signature(unit):
    """As Python writes it, with types by their last names; what only means "a tensor" is called that."""
    text = str(inspect.signature(unit))
    text = re.sub(r"\b(?:\w+\.)+(?=[A-Z]\w*)", "", text)
    return re.sub(r"\bAny\b", "Tensor", text)


def methods(cls, public):
    """The documented methods and properties of the class and of its bases that have no page of their own."""
    seen = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("keras_lecture") or (base in public and base is not cls):
            continue
        for name, method in vars(base).items():
            if name.startswith("_") or name in seen or not method.__doc__:
                continue
            seen.add(name)
            if isinstance(method, property):
                yield name, "property", "", inspect.cleandoc(method.__doc__)
            elif inspect.isfunction(method):
                given = re.sub(r"^\(self(, )?", "(", signature(method))
                yield name, "method", given, inspect.cleandoc(method.__doc__)


def linked(text, area, public):
    """Markdown in which every `name` of the public ones leads to its page; indented blocks stay as they are."""

    def target(name, called):
        path = name.removeprefix("keras_lecture.")
        if path in public or f"{area}.{path}" in public:
            return path if path in public else f"{area}.{path}"
        found = [other for other in public if other.rpartition(".")[2] == path]
        # A word in lower case may be an argument of the same name.
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
