"""The end of each reference page is true: the pages use the name, the tests exist, the source is where it says."""

import ast
import inspect
import re
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))

import mentions  # noqa: E402
import proofs  # noqa: E402
import reference  # noqa: E402
import thumbnails  # noqa: E402
import uses  # noqa: E402

sys.path.remove(str(DOCS))
PUBLIC = reference.names()


def test_names_are_found_however_a_file_imports_them():
    code = """
import keras_lecture
from keras_lecture import losses as ours
from keras_lecture.optimizers import Adam, schedules
from keras_lecture.layers.dropping.dropout import Dropout
keras_lecture.data.split(ours.L1(), Adam(schedules.Warmup(1)).bind, Dropout(0.5))
L2, other.losses.Square
"""
    found = mentions.mentioned(ast.parse(code), PUBLIC)
    expected = {"data.split", "losses.L1", "optimizers.Adam", "optimizers.schedules.Warmup", "layers.Dropout"}
    assert found == expected


def test_texts_count_in_the_tests_of_their_room():
    tree = ast.parse('@parametrize("name", ["Adam", "L1"])\ndef test(): ...')
    assert mentions.mentioned(tree, PUBLIC) == set()
    assert mentions.mentioned(tree, PUBLIC, ("optimizers",)) == {"optimizers.Adam"}


def test_every_public_name_has_a_proof():
    without = [path for path in PUBLIC if not proofs.proofs(path, PUBLIC)]
    assert not without, f"no test of {without} was found: a test must name them, or a table that it uses"


@pytest.mark.parametrize("room", sorted({path.rpartition(".")[0] for path in PUBLIC}))
def test_the_tests_named_on_a_page_exist(room):
    for path in (path for path in PUBLIC if path.rpartition(".")[0] == room):
        for file, name in proofs.proofs(path, PUBLIC):
            assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.M), f"{path}: {name}"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("losses.Savage", "test_margin_losses_match_their_formula"),
        ("optimizers.AdaGrad", "test_200_steps_match_the_numpy_oracle_to_1e10"),
        ("optimizers.schedules.WarmRestarts", "test_warm_restarts_follow_sgdr_and_restart_at_the_exact_step"),
        ("activations.softsign", "test_matches_its_formula_and_derivative"),
        ("layers.MaxPooling1D", "test_values_and_gradient_match_pytorch_and_numpy"),
    ],
)
def test_the_oracle_is_among_the_proofs(path, name):
    """Parametrized tests name these classes in tables, in strings, and in tables of the oracles."""
    assert name in [found for _, found in proofs.proofs(path, PUBLIC)]


def test_scripts_on_a_page_use_the_name():
    pages = list(uses.scripts(PUBLIC))
    assert len(pages) >= 8
    for page in pages:
        folders = {pages: DOCS / folder for folder, pages in uses.GALLERIES.items()}
        file = folders[page.page.partition("/")[0]] / Path(page.page).with_suffix(".py").name
        source = file.read_text(encoding="utf-8")
        assert page.title in source
        assert all(path.rpartition(".")[2] in source for path in page.names), page.page
    assert any("callbacks.Doctor" in page.names and page.page == "gallery/doctor.rst" for page in pages)


def test_pages_about_few_names_come_first_and_only_some_with_pictures():
    """`data.load` is used by nearly every example."""
    text = "\n\n".join(uses.ending("data.load", PUBLIC["data.load"], PUBLIC, list(uses.scripts(PUBLIC))))
    assert text.count("::::{figure}") == uses.CARDS
    assert re.search(r"^Also in \[", text, re.M)


def test_the_source_is_where_the_page_says():
    for path, unit in PUBLIC.items():
        last = uses.ending(path, unit, PUBLIC, [])[-1]
        file, line = re.fullmatch(r"`(keras_lecture/[\w/]+\.py)`, line (\d+)", last).groups()
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()[int(line) - 1 :]
        begins = next(text for text in lines if not text.startswith("@"))
        kind = "class" if inspect.isclass(unit) else "def"
        assert begins.startswith(f"{kind} {path.rpartition('.')[2]}"), path


def test_an_entry_without_a_picture_gets_one_of_its_output(tmp_path):
    (tmp_path / "images/thumb").mkdir(parents=True)
    for name, page in {
        "prints": " .. code-block:: none\n\n    first\n    costs $5 and $6\n\n\n",
        "draws": ".. image-sg:: picture.png\n",
        "silent": "",
    }.items():
        (tmp_path / f"{name}.py").write_text("# a comment\nx = 1\n")
        (tmp_path / f"{name}.rst").write_text(page)
        (tmp_path / f"images/thumb/sphx_glr_{name}_thumb.png").write_bytes(b"placeholder")
    (tmp_path / "interrupted.py").write_text("x = 1\n")
    thumbnails.draw(tmp_path)
    pictures = {file.stem: file.read_bytes() for file in (tmp_path / "images/thumb").iterdir()}
    assert pictures.pop("sphx_glr_draws_thumb") == b"placeholder"
    assert len(pictures) == 2
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    assert thumbnails.printed((tmp_path / "prints.rst").read_text()) == ["first", "costs $5 and $6"]
    assert thumbnails.last(["# a comment", "x = 1", ""]) == ["x = 1"]
