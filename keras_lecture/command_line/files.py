"""What a run leaves in its folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

from keras_lecture.command_line.endings import FAILED, Ended
from keras_lecture.command_line.record import text_of

try:
    from keras_lecture import figures
except ImportError:
    # A training of hours does not fail for want of a picture.
    figures = None

NO_PICTURES = "no pictures: they need matplotlib (pip install matplotlib)"


def folder_of(arguments, default: str) -> Path:
    """The folder for the results, made if it is not there."""
    folder = arguments.out or Path("runs") / default
    folder.mkdir(parents=True, exist_ok=True)
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
    return written if figures else [*written, NO_PICTURES]
