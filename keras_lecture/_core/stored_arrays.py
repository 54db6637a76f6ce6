"""Reads arrays from zip files without trust in the sizes that the files declare."""

import io
import math
import os
import stat
import zipfile

import numpy as np

# Deflate shrinks nothing by more than 1032: honest files of this size declare less than 1000 times what they store.
LARGEST, RATIO = 4 * 2**30, 1000
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def check_regular(path: str | os.PathLike[str]) -> None:
    """Requires a file of its own: a link may lead out of its folder, and a pipe would never end."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise ValueError("it is a link or no regular file")


def check_sizes(archive: zipfile.ZipFile, stored: int) -> None:
    """Refuses an archive of `stored` bytes that declares more than 4 GiB and 1000 times as much, singly or summed."""
    members = archive.infolist()
    pairs = [(member.file_size, member.compress_size) for member in members]
    # Members may overlap, so that each is honest, and all together declare more than the file can hold.
    for declared, held in [*pairs, (sum(size for size, _ in pairs), stored)]:
        if declared > LARGEST and declared > RATIO * min(held, stored):
            raise ValueError(f"it declares {declared} bytes and stores {min(held, stored)}")


def array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """The array in the member `name`, if its header declares exactly the bytes that follow; never unpickles."""
    size = archive.getinfo(name).file_size
    with archive.open(name) as member:
        head = io.BytesIO(member.read(min(size, 2**16)))
        if not head.getvalue().startswith(np.lib.format.MAGIC_PREFIX):
            raise ValueError("it has members that are not arrays")
        version = np.lib.format.read_magic(head)
        if version not in _HEADERS:
            raise ValueError(f"the array {name} has the format {version}")
        shape, _, dtype = _HEADERS[version](head)
        if dtype.hasobject:
            raise ValueError(f"the array {name} holds Python objects, which are never unpickled")
        declared = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or declared != size - head.tell():
            raise ValueError(f"the array {name} declares {declared} bytes and has {size - head.tell()}")
    with archive.open(name) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file, by name; raises `ValueError` or an error of `zipfile` if it is none."""
    with zipfile.ZipFile(path) as archive:
        check_sizes(archive, os.path.getsize(path))
        return {name.removesuffix(".npy"): array(archive, name) for name in archive.namelist()}
