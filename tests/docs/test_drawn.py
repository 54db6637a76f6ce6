"""The pages of scripts show the figures of `keras_lecture.figures`, each once."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

pytestmark = pytest.mark.once

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))

import drawn  # noqa: E402


def test_a_figure_without_a_window_is_saved_once(tmp_path):
    figure, paths = Figure(), (str(tmp_path / f"{k}.png") for k in range(5))
    of_pyplot = plt.figure()
    found = {"figure": figure, "same": figure, "number": 1, "of_pyplot": of_pyplot}
    assert drawn.save(found, paths) == [str(tmp_path / "0.png")]
    assert (tmp_path / "0.png").stat().st_size > 0
    # The next block of the script still has the variables, and sphinx-gallery has closed pyplot's windows: every
    # picture of the guide was there twice.
    plt.close(of_pyplot)
    other = Figure()
    assert drawn.save({**found, "other": other}, paths) == [str(tmp_path / "1.png")]


def test_the_pages_of_scripts_ask_for_the_figures_without_a_window_first():
    """After sphinx-gallery's own scraper no figure has a window."""
    conf = (Path(__file__).resolve().parents[2] / "docs/conf.py").read_text(encoding="utf-8")
    assert '"image_scrapers": ("drawn.scrape", "matplotlib")' in conf
