"""One process per run: two that write into one folder would remove each other's files."""

import contextlib
import errno
import os
import sys
from pathlib import Path

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

_NAME = "run.lock"
# The open files by folder. After an exception in `fit` the process keeps its lock; its next `fit` uses the same file,
# because POSIX ends a lock as soon as the process closes any file of that name.
_files: dict[str, int] = {}


class Lock:
    """The right of this process to write into a folder, which ends with the process, however it ends.

    A lock of POSIX belongs to the process, not to those that it forks. It is not enforced where the file system knows
    no locks, nor on Windows.
    """

    def __init__(self, folder: str):
        self._folder = os.path.realpath(folder)

    def acquire(self) -> None:
        """Creates the folder and takes the lock; raises an `OSError` if another process has it."""
        try:
            descriptor = self._opened()
        except OSError as error:
            reason = f"ExactResume: the folder cannot be written to: {error.strerror}. Choose another `path`"
            raise OSError(error.errno, reason, self._folder) from error
        try:
            if fcntl is not None:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                # A file system without locks.
                return
            self.release()
            reason = "ExactResume: another process is training with this folder. End it, or use one folder for each"
            raise OSError(errno.EAGAIN, reason, self._folder) from error

    def release(self) -> None:
        """Gives the lock back; may be called more than once."""
        descriptor = _files.pop(self._folder, None)
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _opened(self):
        descriptor = _files.get(self._folder)
        if descriptor is not None and os.fstat(descriptor).st_nlink:
            return descriptor
        # The folder was removed since.
        self.release()
        Path(self._folder).mkdir(parents=True, exist_ok=True)
        # Not through a link of that name, which would create a file elsewhere.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        _files[self._folder] = os.open(Path(self._folder, _NAME), flags, 0o644)
        return _files[self._folder]
