"""Atomic writing: after a kill, a name stands for the complete old file or the complete new one."""

import contextlib
import os
from pathlib import Path


def publish(unfinished: Path, path: Path):
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
