"""Checkpoint files of a run: written atomically and verified when read, without pickle."""

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_lecture.callbacks._resume.atomic import publish

# Increased when an older version would misread a newer file.
FORMAT = 1
KEPT = 2
_MANIFEST = "manifest.json"


class Checkpoints:
    """The two latest checkpoints of one run in a folder: `run-00000007.npz` and the one before.

    A checkpoint consists of nested dicts and lists of arrays, numbers, strings and `None`. `np.load` can read the file,
    which has a manifest beside the arrays; the format has checksums of both.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._valid = []

    def latest(self) -> dict[str, Any] | None:
        """The latest readable checkpoint; `None` if there are no files."""
        refused = []
        for path in reversed(self._named("npz")):
            try:
                tree = read(path)
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
        self.folder.mkdir(parents=True, exist_ok=True)
        number = max((int(path.stem[4:]) for path in self._named("npz")), default=0) + 1
        path = self.folder / f"run-{number:08}.npz"
        unfinished = path.with_suffix(".unfinished")
        with open(unfinished, "wb") as file:
            write(file, tree)
        publish(unfinished, path)
        self._valid = [*self._valid, path][-KEPT:]
        for old in (*self._named("npz"), *self._named("unfinished")):
            if old not in self._valid:
                old.unlink()

    def _named(self, suffix):
        return sorted(self.folder.glob(f"run-{'[0-9]' * 8}.{suffix}"))


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
    """The tree in a file; raises an exception if its content is damaged."""
    with zipfile.ZipFile(path) as archive:
        if _MANIFEST not in archive.namelist():
            raise ValueError("it was not written by ExactResume")
        manifest = json.loads(archive.read(_MANIFEST))
        if manifest["format"] != FORMAT:
            raise ValueError(f"it has format {manifest['format']}, this version reads format {FORMAT}")
        members = (io.BytesIO(archive.read(f"{index}.npy")) for index in range(manifest["arrays"]))
        arrays = [np.lib.format.read_array(member, allow_pickle=False) for member in members]
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
