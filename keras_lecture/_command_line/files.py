"""What a run leaves in its folder."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from keras_lecture._command_line.endings import FAILED, Ended, one_line
from keras_lecture._command_line.record import text_of
from keras_lecture._command_line.streams import say

try:
    from keras_lecture import figures

    NO_PICTURES = None
# A training of hours does not fail for want of a picture: without matplotlib, or with one that does not work.
except Exception as error:
    figures, NO_PICTURES = None, f"no pictures: {one_line(error)}"

_FILES = ("record.json", "curves.png", "confusion.png", "learning_rate.png", "model.keras")


def folder_of(arguments, default: str) -> Path:
    """The folder for the results."""
    return made(arguments.out or Path("runs") / default)


def made(folder: Path) -> Path:
    """The folder, made if it is not there; whether it can be written is known before the training."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
        raise Ended(FAILED, f"cannot write into the folder {folder}: {reason}. Give another one by --out.") from error
    return folder


def write(folder: Path, record: dict, pictures: Mapping[str, Callable], model=None) -> list[str]:
    """Writes record, `pictures` (functions of the figures module) and model; returns a line on each for the user."""
    path = folder / "record.json"
    try:
        path.write_text(text_of(record) + "\n", encoding="utf-8")
        written = [str(path)]
        for name, draw in pictures.items() if figures else ():
            path = folder / f"{name}.png"
            draw(figures).savefig(path, dpi=120)
            written.append(str(path))
        if model is not None:
            path = folder / "model.keras"
            model.save(path)
            written.append(str(path))
    except OSError as error:
        raise Ended(FAILED, f"cannot write {path}: {error.strerror}") from error
    if NO_PICTURES:
        say(NO_PICTURES)
    for path in (folder / name for name in _FILES):
        if path.exists() and str(path) not in written:
            say(f"{path} is that of an earlier run")
    return written
