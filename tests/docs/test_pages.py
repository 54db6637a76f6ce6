"""Every public name has a page, the tables list existing names, and the pages work offline."""

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import keras
import pytest
from support.public import public_objects

import keras_lecture

pytestmark = pytest.mark.once

DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.insert(0, str(DOCS))

import llms  # noqa: E402
import offline  # noqa: E402
import reference  # noqa: E402

sys.path.remove(str(DOCS))
PUBLIC = reference.names()


def plain(page):
    """The page without its generated links."""
    page = re.sub(r"\{py:obj\}`([^`<]*) <[^`>]*>`", r"`\1`", page)
    return re.sub(r"\[(arXiv:[\d.]+)\]\([^)]*\)", r"\1", page)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    reference.write(folder)
    return {file.stem: file.read_text(encoding="utf-8") for file in folder.glob("*.md")}


def test_every_public_name_has_a_page(written):
    found = {id(unit) for unit in PUBLIC.values()}
    missing = [name for name, unit in public_objects().items() if id(unit) not in found]
    assert not missing
    for path in PUBLIC:
        room, _, name = path.rpartition(".")
        assert re.search(rf"^```{{py:\w+}} {name}\(.*\n:module: keras_lecture\.{room}\n```$", written[path], re.M), path
        assert f"<{path}>" in written[path.split(".")[0]], f"{path} is not in the table of contents"
        assert f"<keras_lecture.{path}>`" in written["index"], f"{path} is not in the list of all names"


def test_what_differs_from_the_class_of_keras_with_the_same_name_is_said(written):
    """Its page has the heading, and its reference names Keras's class."""
    same = [path for path in PUBLIC if reference.in_keras(path)]
    assert len(same) > 20
    for path in same:
        _, sections = reference.split(inspect.cleandoc(PUBLIC[path].__doc__))
        assert f"`keras.{path}`" in " ".join(sections["Reference"].split()), path
        assert "\n## Reference, and differences from Keras\n" in written[path], path


def test_assistants_get_every_page_and_every_name():
    text = llms.text(DOCS)
    for path in PUBLIC:
        assert f"](api/{path}.html): " in text, path
    shown = re.findall(r"\]\(((?!api/)[\w/]+)\.html\)", text)
    assert {"index", "doctor", "how_we_know", "benchmarks/armijo"} <= set(shown)
    assert all((DOCS / f"{page}.md").exists() for page in shown)


def test_page_contains_the_whole_docstring(written):
    """Every line of a docstring is on its page, with formulas still indented: otherwise they would become prose."""
    for path, unit in PUBLIC.items():
        page = plain(written[path])
        body, sections = reference.split(inspect.cleandoc(unit.__doc__))
        for line in body.splitlines():
            assert f"\n{line}\n" in page, f"{path}: {line}"
        for line in "\n".join(sections.values()).splitlines():
            # The page has the name of an argument on a separate line.
            text = re.sub(r"^\*{0,2}\w[\w, *]*: ", "", line) if line in sections.get("Args", "") else line
            assert text.strip() in page, f"{path}: {line}"


def test_missing_docstring_is_an_error():
    with pytest.raises(ValueError, match="losses.Bare has no docstring"):
        reference.page("losses.Bare", type("Bare", (keras_lecture.losses.L1,), {}), {})


def test_stale_pages_are_removed(tmp_path):
    (tmp_path / "losses.Gone.md").write_text("# Gone")
    reference.write(tmp_path)
    assert not (tmp_path / "losses.Gone.md").exists()


def test_names_are_linked_in_prose_but_not_in_formulas():
    text = "See `L1`, `optimizers.Adam(0.1)` and `x`.\n\n    L = `L1`"
    linked = reference.linked(text, "losses", PUBLIC)
    assert "{py:obj}`L1 <keras_lecture.losses.L1>`" in linked
    assert "{py:obj}`optimizers.Adam(0.1) <keras_lecture.optimizers.Adam>`" in linked
    assert linked.endswith("and `x`.\n\n    L = `L1`")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("losses.L1", set()),
        ("constraints.MaxNorm", set()),
        ("callbacks.GradientMonitor", {"histograms"}),
        ("layers.PCAColor", {"adapt"}),
        ("optimizers.Armijo", {"bind"}),
        ("optimizers.Nesterov", {"bind", "look_ahead"}),
        ("optimizers.schedules.Warmup", {"per_epoch"}),
    ],
)
def test_pages_list_only_methods_for_users(path, expected):
    """The page of `Armijo` showed the internal methods `on`, `slots_for` and `create`."""
    found = {name for name, *_ in reference.methods(PUBLIC[path], set(PUBLIC.values()))}
    assert found == expected


def test_overridden_keras_methods_are_listed():
    methods = reference.methods(PUBLIC["optimizers.Rule"], set(PUBLIC.values()))
    assert "exclude_from_weight_decay" in {name for name, *_ in methods}


def test_signatures_show_tensors_and_configurations():
    """`Tensor` is an alias of `Any`, which also occurs in types that are not tensors."""

    def unit(x: Any, *, options: dict[str, Any], model: keras.Model, **kwargs: Any) -> Any:
        """Takes anything."""

    expected = "(x: Tensor, *, options: dict[str, Any], model: Model, **kwargs) -> Tensor"
    assert reference.signature(unit) == expected


@pytest.mark.parametrize(
    "load",
    [
        '<script async="async" src="https://cdn.example/mathjax.js"></script>',
        '<link href="//fonts.example/inter.css" rel="stylesheet">',
        '<link rel="stylesheet" href="https://fonts.example/inter.css">',
        "<img alt='x' src='http://example/x.png'>",
        '@import "https://example/x.css";',
        "src: url(https://fonts.example/inter.woff2)",
    ],
)
def test_references_to_other_hosts_are_found(load):
    assert offline.loads(f"<p>a page</p>{load}")


def test_links_and_local_files_are_allowed():
    own = '<a href="https://arxiv.org/abs/1"><img src="_images/x.png"></a><script src="../_static/furo.js"></script>'
    assert not offline.loads(own + '<link rel="canonical" href="https://example/"><link rel="stylesheet" href="x.css">')


def rows():
    """Rows of the lectures' tables: `[(row, implemented by), …]`."""
    lines = (DOCS / "lectures.md").read_text(encoding="utf-8").splitlines()
    return [(match[1], match[2]) for line in lines if (match := re.match(r"\| ([A-Z]\d+) \|.*\| (.*) \|$", line))]


def test_lectures_page_has_every_row():
    sizes = {"O": 12, "S": 5, "L": 16, "F": 6, "I": 7, "R": 3, "C": 4, "D": 4, "M": 7, "X": 8}
    assert [row for row, _ in rows()] == [f"{kind}{n}" for kind, size in sizes.items() for n in range(1, size + 1)]


@pytest.mark.parametrize(("row", "here"), rows())
def test_lectures_page_lists_existing_names_and_plans_missing_ones(row, here):
    exists, _, planned = here.partition("planned:")
    present, absent = (re.findall(r"`([a-z_]+\.[\w.]+)`", part) for part in (exists, planned))
    assert present + absent, f"{row} names nothing"
    assert set(present) <= set(PUBLIC), f"{row}: {set(present) - set(PUBLIC)} is not public"
    assert not set(absent) & set(PUBLIC), f"{row}: {set(absent) & set(PUBLIC)} is no longer planned"


def test_architecture_page_has_the_enforced_floors():
    enforced = re.search(
        r"^FLOORS = (\{.*?\n\})", (DOCS.parent / "tests/architecture/test_floors.py").read_text(), re.M | re.S
    )
    floors = eval(enforced[1])
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    shown = {
        part: int(floor)
        for floor, parts in re.findall(r"^\| (\d) \| ([^|]*) \|", page, re.M)
        for part in re.findall(r"`(\w+)`", parts)
    }
    assert shown == floors
