"""`keras-lecture figures`: pictures with their data, the animation, the names, the progress, and errors of one line."""

import json
from types import SimpleNamespace

import pytest
from support.command import run

from keras_lecture import figures
from keras_lecture._command_line import figures as command
from keras_lecture.figures import experiments


@pytest.fixture(scope="module")
def short():
    """The data of a short race."""
    return experiments.race(surfaces=["ravine"], budget=5)


@pytest.fixture
def quick(short, monkeypatch):
    """Cuts the experiments to two, one of them a race that takes no time; returns the seeds that it was given."""
    seeds = []

    def race(*, seed=0):
        seeds.append(seed)
        return {**short, "seed": seed}

    monkeypatch.setattr(experiments, "race", race)
    monkeypatch.setattr(experiments, "__all__", ["race", "schedules"])
    return seeds


def test_named_figure_is_drawn_with_its_data_beside_it(tmp_path):
    code, out, _ = run("figures", "schedules", "--out", tmp_path / "new", "--seed", 3)
    assert code == 0
    assert out.splitlines() == [str(tmp_path / "new" / name) for name in ("schedules.json", "schedules.png")]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["schedules.json", "schedules.png"]
    assert json.loads((tmp_path / "new/schedules.json").read_text()) == experiments.schedules(seed=3)
    assert (tmp_path / "new/schedules.png").read_bytes().startswith(b"\x89PNG")


def test_without_names_all_experiments_are_drawn_and_the_race_is_animated(quick, tmp_path):
    code, out, _ = run("figures", "--out", tmp_path, "--seed", 7)
    names = ["race.json", "race.png", "race.html", "schedules.json", "schedules.png"]
    assert (code, quick) == (0, [7])
    assert out.splitlines() == [str(tmp_path / name) for name in names]
    data = json.loads((tmp_path / "race.json").read_text())
    assert data["seed"] == 7
    assert (tmp_path / "race.html").read_text(encoding="utf-8") == figures.race_animation(data)


def test_default_folder_and_repeated_names(quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("figures", "race", "race")[0] == 0
    assert len(quick) == 1 and (tmp_path / "runs/figures/race.png").exists()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_theme_is_that_of_the_picture(theme, quick, tmp_path, monkeypatch):
    seen = []
    picture = SimpleNamespace(savefig=lambda path, dpi: path.touch())
    monkeypatch.setattr(figures, "schedules", lambda data, theme: seen.append(theme) or picture)
    assert run("figures", "schedules", "--out", tmp_path, "--theme", theme)[0] == 0
    assert seen == [theme]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_progress_fits_the_terminal_and_has_no_codes_without_one(width, quick, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, err = run("figures", "--out", tmp_path)
    assert code == 0 and "\x1b" not in out + err
    assert "2/2" in err and max(map(len, err.splitlines())) <= width


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rcae"], "`NAME` must be one of 'race', 'schedules'. Received: NAME='rcae'. Did you mean 'race'?"),
        (["race", "confusion"], "`NAME` must be one of"),
        (["--seed", "-1"], "`--seed` must be a whole number in [0, ∞)."),
        (["--seed", "one"], "argument --seed: invalid int value: 'one'"),
        (
            ["--theme", "drak"],
            "`--theme` must be one of 'dark', 'light'. Received: --theme='drak'. Did you mean 'dark'?",
        ),
        (["--outt", "x"], "unrecognized arguments: --outt"),
    ],
)
def test_invalid_words_are_a_usage_error_of_one_line(words, message, quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("figures", *words)
    assert (code, out, quick) == (2, "", [])
    assert message in err and len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_one_line_names_the_package_to_install(monkeypatch, tmp_path):
    """The line is the one that `train` adds to its results; `test_framework` hides the real package."""
    monkeypatch.setattr(command, "figures", None)
    reason = "no figures: keras_lecture.figures needs matplotlib: pip install matplotlib"
    monkeypatch.setattr(command, "NO_FIGURES", reason)
    assert run("figures", "--out", tmp_path / "new") == (2, "", f"keras-lecture: {reason}\n")
    assert not (tmp_path / "new").exists()
    assert run("figures", "--help")[0] == 0


def test_folder_that_cannot_be_written_is_one_line(quick, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = run("figures", "--out", tmp_path / "file")
    assert (code, out, quick) == (1, "", [])
    assert "a file of that name exists" in err and len(err.splitlines()) == 1


def test_file_that_cannot_be_written_is_one_line(quick, tmp_path):
    (tmp_path / "race.png").mkdir()
    code, _, err = run("figures", "race", "--out", tmp_path)
    assert code == 1
    assert err.splitlines()[-1].startswith(f"keras-lecture: cannot write {tmp_path / 'race.png'}: ")
