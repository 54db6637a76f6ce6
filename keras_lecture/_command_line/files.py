"""Writes the results of a run to its folder."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from keras_lecture import diagnosis
from keras_lecture._command_line.endings import FAILED, Ended, one_line
from keras_lecture._command_line.record import text_of
from keras_lecture._command_line.streams import say
from keras_lecture._core.whole_files import written as whole
from keras_lecture.diagnosis._record.record import write as write_document

try:
    from keras_lecture import figures

    NO_FIGURES = None
# A missing or broken matplotlib must not make hours of training fail.
except Exception as error:
    figures, NO_FIGURES = None, f"no figures: {one_line(error)}"

_FILES = (
    "record.json",
    "curves.png",
    "confusion.png",
    "learning_rate.png",
    "model.keras",
    "doctor.json",
    "report.html",
)


def folder_of(arguments, default: str) -> Path:
    """The output folder of the run, which is created if necessary."""
    return writable(arguments.out or Path("runs") / default)


def writable(folder: Path) -> Path:
    """Creates the folder and checks before training that files can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = "a file of that name exists" if isinstance(error, FileExistsError) else error.strerror
        raise Ended(FAILED, f"cannot write to the folder {folder}: {reason}. Choose another with --out.") from error
    return folder


def write(folder: Path, record: dict, pictures: Mapping[str, Callable], model=None, document=None) -> list[str]:
    """Writes the record, the `pictures` (functions of the figures module), the model and the document of the doctor.

    Returns the paths.
    """
    path = folder / "record.json"
    try:
        with whole(path) as unfinished:
            unfinished.write_text(text_of(record) + "\n", encoding="utf-8")
        written = [str(path)]
        for name, draw in pictures.items() if figures else ():
            path = folder / f"{name}.png"
            with whole(path) as unfinished:
                draw(figures).savefig(unfinished, dpi=120)
            written.append(str(path))
        if model is not None:
            path = folder / "model.keras"
            with whole(path) as unfinished:
                model.save(unfinished)
            written.append(str(path))
        if document is not None:
            path = folder / "doctor.json"
            write_document(document, path)
            written.append(str(path))
            path = folder / "report.html"
            diagnosis.report(document, path)
            written.append(str(path))
    except OSError as error:
        raise Ended(FAILED, f"cannot write {path}: {error.strerror}") from error
    if NO_FIGURES:
        say(NO_FIGURES)
    for path in (folder / name for name in _FILES):
        if path.exists() and str(path) not in written:
            say(f"{path} is from an earlier run")
    return written
