"""Every figure of the lectures has its texts, and a page with its numbers, pictures, data and script."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from keras_lecture import figures
from keras_lecture.figures import experiments

pytestmark = pytest.mark.once

DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.insert(0, str(DOCS))

import figure_pages  # noqa: E402

sys.path.remove(str(DOCS))
TEXT = {
    "title": "A race",
    "deck": "A",
    "claim": "Who is\nfirst?",
    "formula": "a = b\nc = d",
    "see": "The winner.",
    "verdict": "It holds.",
    "numbers": [
        {"what": "loss", "slide": "0.3", "ours": "data['loss'][-1]", "format": ".2f"},
        {"what": "names", "slide": "", "ours": "', '.join(n for n in data['names'] if data['loss'])", "format": ""},
        {"what": "diverged", "slide": "", "ours": "data['none']", "format": ".1f"},
    ],
}


@pytest.fixture
def fake(tmp_path):
    """A package with one experiment, `race`, that counts its runs, and a figure with an animation."""
    runs, drawings = [], []

    def experiment():
        runs.append(1)
        return {"loss": [1.0, 0.25], "names": ["p", "q"], "none": None}

    def draw(data, theme):
        return SimpleNamespace(
            savefig=lambda file, dpi: drawings.append((data["loss"], theme)) or file.write_text(theme)
        )

    package = tmp_path / "package/figures/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("")
    drawn = SimpleNamespace(race=draw, race_animation=lambda data: f"<p>{data['loss']}</p>", __file__=str(package))
    run = SimpleNamespace(race=experiment, __all__=["race"])
    return SimpleNamespace(drawn=drawn, run=run, runs=runs, drawings=drawings, folder=tmp_path / "figures")


def test_every_figure_has_complete_texts_and_a_place_in_the_course():
    about = figure_pages.texts()
    assert set(about) == set(experiments.__all__)
    assert set(about) <= set(figures.__all__)


def test_page_has_all_parts_in_order():
    page = figure_pages.page("race", TEXT, {"loss": [1.0, 0.25], "names": ["p", "q"], "none": None})
    parts = [
        "# A race\n",
        "`figures.race`",
        "`figures.experiments.race`",
        "## What do you expect?\n\nWho is first?",
        "\n    a = b\n    c = d\n",
        "| loss | 0.3 | 0.25 |\n| names | – | p, q |\n| diverged | – | – |",
        "```{image} race_light.png\n:alt: A race. The winner.\n:class: only-light",
        "```{image} race_dark.png\n:alt: A race. The winner.\n:class: only-dark",
        "*What to see:* The winner.",
        'src="../race_animation.html"',
        "It holds.",
        "data = figures.experiments.race()\n",
        "<race.json>",
    ]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)


def test_the_script_of_a_page_draws_the_figure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = figure_pages.script("losses").removeprefix("```python\n").removesuffix("\n```")
    assert len(code.splitlines()) == 3
    exec(code, {})
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_files_are_written_once_and_those_of_figures_that_are_gone_removed(fake):
    fake.folder.mkdir()
    for name in ("gone.md", "gone_light.png", "gone.json"):
        (fake.folder / name).write_text("")
    for name in ("race.toml", "kept.txt"):
        (fake.folder / name).write_text("")
    for _ in range(2):
        figure_pages.write(fake.folder, {"race": TEXT}, fake.drawn, fake.run)
    assert len(fake.runs) == 1
    assert fake.drawings[:2] == [([1.0, 0.25], "light"), ([1.0, 0.25], "dark")]
    assert {file.name for file in fake.folder.iterdir()} == {
        *("race.toml", "race.md", "race.json", "race_light.png", "race_dark.png", "index.md", "animations", "kept.txt")
    }
    assert (fake.folder / "animations/race_animation.html").read_text() == "<p>[1.0, 0.25]</p>"
    assert json.loads((fake.folder / "race.json").read_text())["loss"] == [1.0, 0.25]
    index = (fake.folder / "index.md").read_text(encoding="utf-8")
    assert "(race_light.png)" in index and "(race.md)" in index and "\nrace\n" in index


def test_an_experiment_runs_again_after_a_change_of_the_package(fake):
    figure_pages.write(fake.folder, {"race": TEXT}, fake.drawn, fake.run)
    data = fake.folder / "race.json"
    changed = figure_pages.newest(Path(fake.drawn.__file__).parents[1])
    figure_pages.results(data, fake.run.race, changed)
    assert len(fake.runs) == 1
    figure_pages.results(data, fake.run.race, data.stat().st_mtime + 1)
    assert len(fake.runs) == 2


@pytest.mark.parametrize("about", [{}, {"race": TEXT, "zigzag": TEXT}])
def test_a_figure_without_text_and_a_text_without_figure_are_errors(about, fake):
    with pytest.raises(
        ValueError, match=r"figure_pages: (race|zigzag) needs both an experiment and a figures/NAME.toml"
    ):
        figure_pages.write(fake.folder, about, fake.drawn, fake.run)
    assert not fake.runs


def test_a_figure_without_place_in_the_course_is_an_error(tmp_path):
    (tmp_path / "later.toml").write_text((DOCS / "figures/losses.toml").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ValueError, match="later has no place in `ORDER`"):
        figure_pages.texts(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": ""},
        {"remark": "more"},
        {"numbers": []},
        {"numbers": [{"what": "loss", "ours": "1", "format": ""}]},
        {"numbers": [{"what": "loss", "slide": "", "ours": "", "format": ""}]},
    ],
)
def test_an_incomplete_text_is_an_error(change):
    figure_pages.check("race", TEXT)
    with pytest.raises(ValueError, match=r"figures/race\.toml"):
        figure_pages.check("race", TEXT | change)


def test_an_expression_that_fails_is_named():
    row = {"what": "loss", "slide": "", "ours": "data['gone']", "format": ""}
    with pytest.raises(ValueError, match=r"figures/race\.toml: .*gone.* cannot be computed"):
        figure_pages.ours("race", row, {})
