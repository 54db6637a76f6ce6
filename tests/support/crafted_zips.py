"""Zip files that declare what they do not hold."""

import copy
import io
import zipfile

import numpy as np


class Fires:
    """A pickled one would call `print` on loading, and a test would see its output."""

    def __reduce__(self):
        return print, ("hostile_canary was unpickled",)


def npy(array, *, shape=None) -> bytes:
    """An array as NumPy writes it, with another shape in its header if given."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    if shape is None:
        return file.getvalue()
    head = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(array.dtype)
    np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": False, "shape": shape})
    return head.getvalue() + array.tobytes()


def archive(path, members, *, declare=None, copies=0, compression=zipfile.ZIP_STORED):
    """Writes members by name; `declare` is the size that the directory claims, `copies` more entries share the data."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
        for info in list(file.filelist):
            info.file_size = info.file_size if declare is None else declare
            for number in range(copies):
                twin = copy.copy(info)
                twin.filename = f"{number}-{info.filename}"
                file.filelist.append(twin)
