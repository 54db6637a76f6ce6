"""Arrays in zip files: what a file declares must be what it holds."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.crafted_zips import Fires, archive, npy

from keras_lecture._core import stored_arrays

GIB = 2**30


def test_arrays_are_read_as_numpy_reads_them(tmp_path):
    """The oracle is `np.load`."""
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.array(["x", "yz"]), "c": np.zeros((0, 4)), "d": np.array(7)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "file.npz", **arrays)
        np.testing.assert_equal(stored_arrays.arrays(tmp_path / "file.npz"), dict(np.load(tmp_path / "file.npz")))


@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**20), (2**62, 2**62), (3,), (-2, -1), (-2,)])
def test_an_array_must_have_the_bytes_that_its_header_declares(tmp_path, shape):
    """CVE-2026-0897 is a header of HDF5 that declares a shape of petabytes; a header of NumPy can do the same."""
    archive(tmp_path / "file.npz", {"a.npy": npy(np.zeros(2), shape=shape)})
    with pytest.raises(ValueError, match=r"declares -?\d+ bytes and has 16"):
        stored_arrays.arrays(tmp_path / "file.npz")


def test_no_object_is_unpickled(tmp_path, capsys):
    archive(tmp_path / "file.npz", {"a.npy": npy(np.array([Fires()], dtype=object))})
    with pytest.raises(ValueError, match="holds Python objects, which are never unpickled"):
        stored_arrays.arrays(tmp_path / "file.npz")
    assert capsys.readouterr().out == ""
    # The payload is live: NumPy itself would run it.
    np.load(tmp_path / "file.npz", allow_pickle=True)["a"]
    assert "hostile_canary" in capsys.readouterr().out


@pytest.mark.parametrize(("declare", "copies"), [(5 * GIB, 0), (GIB, 4), (2**60, 0)])
def test_sizes_above_4_gib_and_1000_times_the_file_are_refused_singly_and_summed(tmp_path, declare, copies):
    """With `copies`, every member is below 4 GiB and shares one piece of stored data, as in an overlapping zip bomb."""
    archive(tmp_path / "file.npz", {"a.npy": npy(np.zeros(2))}, declare=declare, copies=copies)
    with pytest.raises(ValueError, match=rf"it declares {declare * (copies + 1)} bytes and stores \d+"):
        stored_arrays.arrays(tmp_path / "file.npz")


def test_sizes_up_to_the_limits_are_accepted():
    """Above 4 GiB a file may declare 1000 times what it stores, and below it may declare more."""

    class Archive:
        def __init__(self, *pairs):
            self.pairs = pairs

        def infolist(self):
            return [SimpleNamespace(file_size=size, compress_size=held) for size, held in self.pairs]

    stored_arrays.check_sizes(Archive((4 * GIB, 1000)), 2000)
    stored_arrays.check_sizes(Archive((8 * GIB, 8 * GIB // 1000 + 1)), GIB)
    with pytest.raises(ValueError, match="it declares"):
        stored_arrays.check_sizes(Archive((8 * GIB, 8 * GIB // 1000 - 1)), GIB)
