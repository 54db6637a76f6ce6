"""Sphinx configuration: Markdown pages, a generated reference, and two galleries of executed scripts."""

import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Simulated devices for the data-parallel example; JAX reads the flag when it starts.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
sys.path.insert(0, str(HERE))

import figure_pages  # noqa: E402
import llms  # noqa: E402
import notebooks  # noqa: E402
import offline  # noqa: E402
import reference  # noqa: E402
import rules  # noqa: E402
import speed_chart  # noqa: E402
import thumbnails  # noqa: E402
import uses  # noqa: E402

import keras_lecture  # noqa: E402

project = "keras_lecture"
copyright = "its authors, Apache-2.0"
version = release = keras_lecture.__version__

extensions = ["myst_parser", "sphinx.ext.viewcode", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "gallery/*.ipynb", "guide/*.ipynb", "ward_tables.md", "promises/*.md"]
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 2
# Indented blocks are formulas in plain Unicode; code blocks name their language.
highlight_language = "none"
python_maximum_signature_line_length = 88
nitpicky = True
# Types of other packages in signatures: links to them would need their inventories from the Internet.
nitpick_ignore_regex = [("py:class", r"(?!keras_lecture).*")]

html_theme = "furo"
html_title = f"keras_lecture {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
# Animations are complete pages. Sphinx wants the folder before `setup` writes them.
html_extra_path = ["figures/animations", "llms.txt"]
(HERE / "figures/animations").mkdir(exist_ok=True)
html_show_sphinx = False
# The summaries of search results would be fetched page by page, which browsers forbid in files.
html_show_search_summary = False


sphinx_gallery_conf = {
    "examples_dirs": list(uses.GALLERIES),
    "gallery_dirs": list(uses.GALLERIES.values()),
    "first_notebook_cell": notebooks.FIRST_CELL,
    "filename_pattern": r"\.py$",
    "within_subsection_order": "gallery_order.place",
    "reset_modules": ("matplotlib", "gallery_order.fresh"),
    "abort_on_example_error": True,
    "capture_repr": (),
    "image_scrapers": ("drawn.scrape", "matplotlib"),
    "backreferences_dir": None,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "remove_config_comments": True,
}


def link_names(app, document, source):
    """Links names such as `losses.L1` in hand-written pages and scripts to their reference pages."""
    public = reference.names()

    def role(match):
        linked = reference.linked(f"`{match[1]}`", "", public)
        return linked.replace("{py:obj}", ":py:obj:") if linked.startswith("{py:obj}") else match[0]

    if document.startswith(("gallery/", "guide/")):
        source[0] = re.sub(r"``([^`\n]+)``", role, source[0])
    elif not document.startswith("api/"):
        source[0] = reference.linked(source[0], "", public)


def setup(app):
    # Before Sphinx looks for the files of `html_extra_path`.
    llms.write(HERE)
    app.connect("builder-inited", lambda app: reference.write(HERE / "api"))
    app.connect("builder-inited", lambda app: rules.write(HERE / "rules", HERE / "api/rules.inc"))
    app.connect("builder-inited", lambda app: figure_pages.write(HERE / "figures"))
    app.connect("builder-inited", lambda app: speed_chart.draw(HERE / "speed.md", HERE / "api/speed.svg"))
    # After the gallery has been generated, before its notebooks are copied.
    for folder in sphinx_gallery_conf["gallery_dirs"]:
        app.connect("builder-inited", lambda app, folder=folder: notebooks.write(HERE / folder), priority=900)
        app.connect("builder-inited", lambda app, folder=folder: thumbnails.draw(HERE / folder), priority=900)
    app.connect("source-read", link_names)
    app.connect("build-finished", offline.refuse)
