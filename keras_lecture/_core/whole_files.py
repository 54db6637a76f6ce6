"""Writes files as a whole: a kill or a full disk leaves the old file or the new one, and nothing half-written."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

UNFINISHED = "unfinished-"


@contextlib.contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives the name under which to write `path`; the file gets its own name when the block ends without an error.

    A leftover of that name is removed first: it may be a link that leads elsewhere. The ending stays the same, because
    Keras and NumPy determine the format by it.
    """
    path = Path(path)
    temporary = path.with_name(f"{UNFINISHED}{path.name}")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        publish(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def publish(unfinished: Path, path: Path) -> None:
    """Gives a complete file in the folder of `path` the name `path`, once its content is on the disk."""
    _sync(unfinished, os.O_RDWR)
    os.replace(unfinished, path)
    # The new name must reach the disk, too. Windows opens no folder as a file, and does not need it.
    with contextlib.suppress(PermissionError):
        _sync(path.parent, os.O_RDONLY)


def _sync(path, mode):
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
