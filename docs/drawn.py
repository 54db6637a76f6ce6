"""Shows figures of `keras_lecture.figures` on the pages of scripts; sphinx-gallery itself sees only those of pyplot."""

import weakref

from matplotlib.figure import Figure

_SHOWN = weakref.WeakSet()


def scrape(block, variables, gallery):
    """Saves the figures that a block of a script leaves in variables, and returns the text that shows them."""
    # Here, as the tests import this file without the packages of the documentation.
    from sphinx_gallery.scrapers import figure_rst

    return figure_rst(save(variables["example_globals"], variables["image_path_iterator"]), gallery["src_dir"])


def save(found, paths):
    """Saves each figure without a window once, and returns the paths of the pictures."""
    figures = {id(value): value for value in found.values() if isinstance(value, Figure)}.values()
    new = [figure for figure in figures if figure.canvas.manager is None and figure not in _SHOWN]
    saved = []
    for figure in new:
        _SHOWN.add(figure)
        path = next(paths)
        figure.savefig(path)
        saved.append(path)
    return saved
