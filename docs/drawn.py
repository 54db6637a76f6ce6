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
    """Saves each figure without a window once, and returns the paths of the pictures.

    Has to run before sphinx-gallery's own scraper, which closes the windows: pyplot's figures are its, then and later.
    """
    figures = {id(value): value for value in found.values() if isinstance(value, Figure)}.values()
    saved = []
    for figure in [figure for figure in figures if figure not in _SHOWN]:
        _SHOWN.add(figure)
        if figure.canvas.manager is None:
            saved.append(next(paths))
            figure.savefig(saved[-1])
    return saved
