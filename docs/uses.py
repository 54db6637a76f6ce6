"""The end of a reference page: where a name is used, which tests prove it, and where its source is."""

import ast
import inspect
import tomllib
from pathlib import Path
from typing import NamedTuple

import mentions
import proofs

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
EXPERIMENTS = ROOT / "keras_lecture/figures/experiments"
# The folders of scripts, and the folders of their pages.
GALLERIES = {"../guide": "guide", "../examples": "gallery"}
# The number of pages that are shown with their picture.
CARDS = 6


class Page(NamedTuple):
    """A page that uses public names, and its picture, by paths below `docs`."""

    title: str
    page: str
    picture: str
    names: frozenset


def scripts(public):
    """The pages of the examples and of the guide."""
    for folder, pages in GALLERIES.items():
        for file in sorted((DOCS / folder).resolve().glob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            title = next(line for line in ast.get_docstring(tree).splitlines() if line.strip("=- "))
            picture = f"{pages}/images/thumb/sphx_glr_{file.stem}_thumb.png"
            yield Page(title, f"{pages}/{file.stem}.rst", picture, frozenset(mentions.mentioned(tree, public)))


def figures(public):
    """The pages of the figures, by the sources of their experiments."""
    for text in sorted((DOCS / "figures").glob("*.toml")):
        names = {f"figures.{text.stem}"} & set(public)
        for tree in experiment(text.stem):
            names |= mentions.mentioned(tree, public)
        title = tomllib.loads(text.read_text(encoding="utf-8"))["title"]
        yield Page(title, f"figures/{text.stem}.md", f"figures/{text.stem}_light.png", frozenset(names))


def experiment(name):
    """Yields the syntax trees of an experiment and of the private files of its folder that it imports."""
    todo, seen = [EXPERIMENTS / f"{name}.py"], set()
    while todo:
        file = todo.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        tree = ast.parse(file.read_text(encoding="utf-8"))
        yield tree
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
        parts = {part for node in imports for part in (*node.module.split("."), *(name.name for name in node.names))}
        todo += [EXPERIMENTS / f"{part}.py" for part in parts if part.startswith("_")]


def ending(path, unit, public, pages):
    """The sections of the reference page of one name."""
    # Pages that use few names first: they are about this one.
    using = sorted((page for page in pages if path in page.names), key=lambda page: len(page.names))
    parts = ["## Used in", ":::::{container} uses", *map(card, using[:CARDS]), ":::::"] if using else []
    if using[CARDS:]:
        parts.append(f"Also in {', '.join(map(link, using[CARDS:]))}.")
    proved = {}
    for file, name in proofs.proofs(path, public):
        proved.setdefault(file, []).append(f"`{name}`")
    if proved:
        parts += ["## Proved by", *(f"`{file}`\n: {', '.join(names)}" for file, names in proved.items())]
        parts.append("and by the tests of [every public name](../how_we_know.md).")
    file = Path(inspect.getsourcefile(unit)).resolve().relative_to(ROOT)
    return [*parts, "## Source", f"`{file}`, line {inspect.getsourcelines(unit)[1]}"]


def link(page):
    return f"[{page.title}](../{page.page})"


def card(page):
    """A picture with the title of the page below it; both are links."""
    target = f"../{Path(page.page).with_suffix('.html')}"
    return f"::::{{figure}} ../{page.picture}\n:alt: {page.title}\n:target: {target}\n\n{link(page)}\n::::"
