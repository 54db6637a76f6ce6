"""Draws the figures of the lectures, each from a new experiment with the library, and writes the data beside it.

Without names it draws all of them. NAME.json holds the data of NAME.png; race.html shows the race as an animation.
"""

import json
from pathlib import Path

from keras_lecture._command_line.endings import FAILED, OK, OWNER, USAGE, Ended, usage_errors
from keras_lecture._command_line.failures import training
from keras_lecture._command_line.files import NO_FIGURES, figures, writable
from keras_lecture._command_line.streams import out
from keras_lecture._command_line.terminal import Steps
from keras_lecture._core import checks

OPERANDS = "[NAME ...]"
DPI = 150


def add_arguments(parser):
    known = ", ".join(figures.experiments.__all__) if figures else "see the reference"
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{known} (default: all)")
    group = parser.add_argument_group("results")
    group.add_argument("--out", type=Path, metavar="FOLDER", help="output folder (runs/figures)")
    about = "of everything random in the experiments (%(default)s)"
    group.add_argument("--seed", type=int, default=0, metavar="N", help=about)
    group.add_argument("--theme", default="light", metavar="NAME", help="light or dark (%(default)s)")


def run(arguments) -> int:
    if NO_FIGURES:
        raise Ended(USAGE, NO_FIGURES)
    with usage_errors():
        known = figures.experiments.__all__
        for name in arguments.names:
            checks.one_of(OWNER, "NAME", name, known)
        checks.whole(OWNER, "--seed", arguments.seed, "[0, ∞)")
        checks.one_of(OWNER, "--theme", arguments.theme, ("light", "dark"))
    folder = writable(arguments.out or Path("runs") / "figures")
    written = []
    names = list(dict.fromkeys(arguments.names or known))
    with Steps(names) as progress:
        for name in names:
            progress.begin(name)
            with training():
                data = getattr(figures.experiments, name)(seed=arguments.seed)
            written += _write(folder, name, data, arguments.theme)
    out("\n".join(written))
    return OK


def _write(folder, name, data, theme) -> list[str]:
    """Writes the data, the picture and, for the race, the page; returns the paths."""
    path = folder / f"{name}.json"
    written = [path]
    try:
        path.write_text(json.dumps(data, allow_nan=False) + "\n", encoding="utf-8")
        path = folder / f"{name}.png"
        written.append(path)
        getattr(figures, name)(data, theme=theme).savefig(path, dpi=DPI)
        if name == "race":
            path = folder / "race.html"
            written.append(path)
            path.write_text(figures.race_animation(data), encoding="utf-8")
    except OSError as error:
        raise Ended(FAILED, f"cannot write {path}: {error.strerror}") from error
    return [str(path) for path in written]
