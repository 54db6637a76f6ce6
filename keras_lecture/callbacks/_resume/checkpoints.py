"""Checkpoint files of a run: written atomically and verified when read, without pickle."""

import json
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_lecture._core import stored_arrays
from keras_lecture._core.whole_files import UNFINISHED, written

# Increased when an older version would misread a newer file.
FORMAT = 1
KEPT = 2
_MANIFEST = "manifest.json"


class Checkpoints:
    """The two latest checkpoints of one run in a folder: `run-00000007.npz` and the one before.

    A checkpoint consists of nested dicts and lists of arrays, numbers, strings and `None`. `np.load` can read the file,
    which has a manifest beside the arrays; the format has checksums of both.
    """

    def __init__(self, folder, check=lambda tree: None):
        """`check(tree)` raises an exception for a file that is intact, but was not written by the owner."""
        self.folder = Path(folder)
        self._check = check
        self._valid = []

    def latest(self) -> dict[str, Any] | None:
        """The latest readable checkpoint; `None` if there are no files."""
        refused = []
        for path in reversed(self._named()):
            try:
                tree = read(path)
                self._check(tree)
            # A damaged file may raise any exception of zipfile, json and NumPy.
            except Exception as error:
                refused.append(f"{path}: {error or type(error).__name__}")
                warnings.warn(f"ExactResume: a file cannot be read, an older one is tried. {refused[-1]}", stacklevel=2)
                continue
            self._valid = [path]
            return tree
        if refused:
            raise ValueError(
                f"ExactResume: no checkpoint in {self.folder} can be read. Put an intact one there, or remove the "
                f"folder to start over. Unreadable: {'; '.join(refused)}"
            )
        return None

    def write(self, tree: dict[str, Any]):
        """Adds a checkpoint; until it is on the disk, the previous ones stay readable, whatever happens."""
        number = max((int(path.stem[4:]) for path in self._named()), default=0) + 1
        path = self.folder / f"run-{number:08}.npz"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with written(path) as unfinished, open(unfinished, "xb") as file:
                write(file, tree)
        except OSError as error:
            kept = f"the latest complete one is {self._valid[-1]}" if self._valid else "there is none yet"
            raise OSError(
                error.errno,
                f"ExactResume: a file cannot be written: {error.strerror}; {kept}. Make room or permit writing, and "
                "run the script again",
                str(path),
            ) from error
        self._valid = [*self._valid, path][-KEPT:]
        for old in (*self._named(), *self._named(UNFINISHED)):
            if old not in self._valid:
                old.unlink()

    def _named(self, prefix=""):
        return sorted(self.folder.glob(f"{prefix}run-{'[0-9]' * 8}.npz"))


def write(file, tree):
    """Writes `tree` to a binary file."""
    arrays = []
    content = _without_arrays(tree, arrays)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_MANIFEST, json.dumps({"format": FORMAT, "arrays": len(arrays), "content": content}))
        for index, array in enumerate(arrays):
            with archive.open(f"{index}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read(path) -> dict[str, Any]:
    """The tree in a file; raises an exception if its content is damaged, or hostile."""
    stored_arrays.check_regular(path)
    with zipfile.ZipFile(path) as archive:
        stored_arrays.check_sizes(archive, os.path.getsize(path))
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is compressed, which ExactResume does not do")
        if _MANIFEST not in archive.namelist():
            raise ValueError("it was not written by ExactResume")
        manifest = json.loads(archive.read(_MANIFEST))
        if manifest["format"] != FORMAT:
            raise ValueError(f"it has format {manifest['format']}, this version reads format {FORMAT}")
        arrays = [stored_arrays.array(archive, f"{index}.npy") for index in range(manifest["arrays"])]
    return _with_arrays(manifest["content"], arrays)


def _without_arrays(tree, arrays):
    if isinstance(tree, dict):
        return {"dict": {str(key): _without_arrays(value, arrays) for key, value in tree.items()}}
    if isinstance(tree, list | tuple):
        return [_without_arrays(value, arrays) for value in tree]
    if isinstance(tree, np.ndarray | np.generic):
        # The types that NumPy lacks, bfloat16 and the like, fit into float32.
        arrays.append(np.asarray(tree, "float32" if tree.dtype.kind == "V" else None))
        return {"array" if isinstance(tree, np.ndarray) else "number": len(arrays) - 1}
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"ExactResume cannot write a {type(tree).__name__}: {tree!r}. A state is made of NumPy arrays.")


def _with_arrays(content, arrays):
    if isinstance(content, list):
        return [_with_arrays(value, arrays) for value in content]
    if not isinstance(content, dict):
        return content
    if "dict" in content:
        return {key: _with_arrays(value, arrays) for key, value in content["dict"].items()}
    return arrays[content["array"]] if "array" in content else arrays[content["number"]][()]
