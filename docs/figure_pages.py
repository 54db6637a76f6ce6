"""Writes a page for each figure of the lectures: the claim, the formula, the numbers, the picture and the verdict.

The texts are in `figures/*.toml`, the numbers come from the experiment of the same name, which is run once.
"""

import json
import tomllib
from pathlib import Path

from keras_lecture import figures
from keras_lecture.figures import experiments

HERE = Path(__file__).parent
# The order of a course: one unit, its loss, a deep network at its start, then optimization, then generalization.
ORDER = (
    "activations",
    "saturation",
    "losses",
    "signals",
    "batch_normalization",
    "zigzag",
    "learning_rates",
    "schedules",
    "batch_size",
    "race",
    "rates",
    "capacity",
    "decision_boundary",
    "dropout",
)
PARTS = {"title", "deck", "claim", "formula", "see", "verdict", "numbers"}
CELLS = {"what", "slide", "ours", "format"}
# Figures that are offered as an animation, too: the function that writes its page.
ANIMATED = {"race": "race_animation"}
FRAME = (
    '<iframe class="animation" loading="lazy" title="{title}, animated" src="../{name}_animation.html"></iframe>\n\n'
    '<a href="../{name}_animation.html">The animation alone</a>, one file that needs no network.'
)
THEMES = ("light", "dark")


def texts(folder=HERE / "figures", order=ORDER):
    """The hand-written texts of each figure, in the order of the course."""
    found = {file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.toml")}
    for name, text in found.items():
        check(name, text)
    unplaced = sorted(set(found) - set(order))
    if unplaced:
        raise ValueError(f"figure_pages: {', '.join(unplaced)} has no place in `ORDER`, the order of the course.")
    return {name: found[name] for name in order if name in found}


def check(name, text):
    """Refuses a text that lacks a part or has an unknown one."""
    if set(text) != PARTS:
        raise ValueError(f"figures/{name}.toml must have {sorted(PARTS)}. Differing: {sorted(PARTS ^ set(text))}.")
    empty = [part for part in PARTS if not text[part]]
    rows = [row.get("what", "?") for row in text["numbers"] if set(row) != CELLS or not row["ours"] or not row["what"]]
    if empty or rows:
        raise ValueError(f"figures/{name}.toml has empty parts {empty} or incomplete numbers {rows}.")


def write(folder, about=None, drawn=figures, run=experiments):
    """Writes pages, pictures, data and the index into the folder, and removes those of figures that are gone.

    An experiment runs only if its data are older than the package.
    """
    about = texts() if about is None else about
    if set(about) != set(run.__all__):
        missing = sorted(set(about) ^ set(run.__all__))
        raise ValueError(f"figure_pages: {', '.join(missing)} needs both an experiment and a figures/NAME.toml.")
    folder.mkdir(parents=True, exist_ok=True)
    kept = {f"{name}.toml" for name in about}
    pages = {"index": index(about)}
    for name, text in about.items():
        data = results(folder / f"{name}.json", getattr(run, name), newest(Path(drawn.__file__).parents[1]))
        kept |= {f"{name}.json", *pictures(folder, name, data, drawn)}
        animation(folder, name, data, drawn)
        pages[name] = page(name, text, data)
    for name, text in pages.items():
        file = folder / f"{name}.md"
        kept.add(file.name)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
    for stale in folder.iterdir():
        if stale.name not in kept and stale.suffix in (".md", ".png", ".json"):
            stale.unlink()


def newest(package):
    """The time of the last change of the package."""
    return max(file.stat().st_mtime for file in package.rglob("*.py"))


def results(file, experiment, changed):
    """The data of an experiment, from its file if the package has not changed since."""
    if not file.exists() or file.stat().st_mtime < changed:
        file.write_text(json.dumps(experiment(), allow_nan=False), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def pictures(folder, name, data, drawn):
    """Draws the figure on a light and on a dark background, and returns the names of the files."""
    for theme in THEMES:
        # Text of matplotlib's default size is as large as the page's at this resolution.
        getattr(drawn, name)(data, theme=theme).savefig(folder / f"{name}_{theme}.png", dpi=144)
    return [f"{name}_{theme}.png" for theme in THEMES]


def animation(folder, name, data, drawn):
    """Writes the animation of a figure that has one, an HTML page that needs no other file."""
    if name not in ANIMATED:
        return
    file = folder / "animations" / f"{name}_animation.html"
    file.parent.mkdir(exist_ok=True)
    file.write_text(getattr(drawn, ANIMATED[name])(data), encoding="utf-8")


def page(name, text, data):
    """The Markdown page of a figure."""
    parts = [
        f"# {text['title']}",
        f"*Deck {text['deck']}* · how to draw it: `figures.{name}` · how it was run: `figures.experiments.{name}`",
        f"## What do you expect?\n\n{prose(text['claim'])}",
        "\n".join(f"    {line}" for line in text["formula"].strip("\n").splitlines()),
        f"## The numbers\n\n{numbers(name, text['numbers'], data)}",
        f"## The picture\n\n{images(name, text)}",
        f"*What to see:* {prose(text['see'])}",
    ]
    if name in ANIMATED:
        parts.append(FRAME.format(name=name, title=text["title"]))
    parts += [
        f"## Does the claim hold?\n\n{prose(text['verdict'])}",
        f"## Draw it yourself\n\n{script(name)}",
        f"{{download}}`The data as JSON <{name}.json>`, and [all figures](index.md).",
    ]
    return "\n\n".join(parts) + "\n"


def numbers(name, rows, data):
    """The table of what the slide prints and what the experiment gave."""
    cells = [f"| {prose(row['what'])} | {prose(row['slide']) or '–'} | {ours(name, row, data)} |" for row in rows]
    return "\n".join(["| | slide | ours |", "|---|---|---|", *cells])


def ours(name, row, data):
    """The value of a row's expression on the data, in its format."""
    try:
        value = eval(row["ours"], {"data": data})
        return "–" if value is None else format(value, row["format"])
    except Exception as error:
        raise ValueError(f"figures/{name}.toml: {row['ours']!r} cannot be computed from the data: {error!r}") from error


def images(name, text):
    """The picture for light and for dark pages; the alternative text says what it shows."""
    alt = prose(f"{text['title']}. {text['see']}")
    return "\n\n".join(
        f"```{{image}} {name}_{theme}.png\n:alt: {alt}\n:class: only-{theme} lecture-figure\n```" for theme in THEMES
    )


def script(name):
    """Three lines that draw the figure."""
    lines = ("from keras_lecture import figures", f"data = figures.experiments.{name}()")
    return "\n".join(["```python", *lines, f'figures.{name}(data).savefig("{name}.png")', "```"])


def index(about):
    """All figures with their pictures, in the order of the course."""
    parts = [INTRODUCTION]
    for name, text in about.items():
        pictures = "\n".join(
            f"[![{prose(text['title'])}]({name}_{theme}.png){{.only-{theme} .thumbnail}}]({name}.md)"
            for theme in THEMES
        )
        parts.append(
            f"## [{prose(text['title'])}]({name}.md)\n\n{pictures}\n\n*Deck {text['deck']}.* {prose(text['claim'])}"
        )
    contents = "\n".join(about)
    return "\n\n".join([*parts, f"```{{toctree}}\n:hidden:\n\n{contents}\n```"]) + "\n"


INTRODUCTION = """\
# Figures

The figures of the lectures, drawn again from experiments that the library runs itself. Each page first asks what you
expect, then shows formula, number and picture together, and says whether the slide's claim holds. In the order of a
course; `python -m keras_lecture figures` draws them all."""


def prose(text):
    """A paragraph on one line."""
    return " ".join(str(text).split())
