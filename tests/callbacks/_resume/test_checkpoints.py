"""Checkpoint files: damage is detected, two are kept, and a failed write loses nothing."""

import os
import zipfile

import numpy as np
import pytest

from keras_lecture.callbacks._resume.checkpoints import Checkpoints, read

TREE = {
    "number": 3,
    "nothing": None,
    "text": "μ",
    "list": [1.5, True, {"array": np.arange(6.0).reshape(2, 3)}],
    "scalar": np.float32(0.1),
    "empty": {},
    "infinite": float("inf"),
    "state": np.array(["a", "bc"]),
}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_reading_returns_what_was_written(tmp_path):
    Checkpoints(tmp_path).write(TREE)
    tree = Checkpoints(tmp_path).latest()
    np.testing.assert_equal(tree, TREE)
    assert type(tree["scalar"]) is np.float32 and type(tree["number"]) is int
    assert np.load(tmp_path / "run-00000001.npz")["0"].shape == (2, 3)


def test_the_last_two_are_kept(tmp_path):
    for step in range(3):
        Checkpoints(tmp_path).write({"step": step})
        assert Checkpoints(tmp_path).latest() == {"step": step}
    assert names(tmp_path) == ["run-00000003.npz"]
    files = Checkpoints(tmp_path)
    files.latest()
    for step in range(3, 6):
        files.write({"step": step})
    assert names(tmp_path) == ["run-00000005.npz", "run-00000006.npz"]


def test_every_damage_is_detected(tmp_path):
    """A truncated file is rejected; one with a changed byte is rejected or reads as it was written."""
    Checkpoints(tmp_path).write({"a": np.arange(3), "b": "text"})
    path = tmp_path / "run-00000001.npz"
    whole, expected = path.read_bytes(), read(path)
    contents = [
        range(whole.index(text), whole.index(text) + size) for text, size in ((b'{"format', 80), (b"NUMPY", 140))
    ]
    for position in range(len(whole)):
        path.write_bytes(whole[:position])
        with pytest.raises(Exception):  # noqa: B017
            read(path)
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        if any(position in content for content in contents):
            with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
                read(path)
            continue
        try:
            tree = read(path)
        except Exception:
            continue
        # A changed date, for example, does no harm.
        np.testing.assert_equal(tree, expected)


def test_a_damaged_file_is_skipped_and_the_older_one_used(tmp_path):
    files = Checkpoints(tmp_path)
    for step in range(2):
        files.write({"step": step})
    newest = tmp_path / "run-00000002.npz"
    newest.write_bytes(newest.read_bytes()[:-10])
    files = Checkpoints(tmp_path)
    with pytest.warns(UserWarning, match="cannot be read, an older one is tried.*run-00000002.npz: File is not a zip"):
        assert files.latest() == {"step": 0}
    files.write({"step": 2})
    assert names(tmp_path) == ["run-00000001.npz", "run-00000003.npz"]


def test_foreign_files_are_an_error_and_not_an_empty_folder(tmp_path):
    np.savez(tmp_path / "run-00000007.npz", a=np.zeros(3))
    (tmp_path / "run-notes.npz").write_bytes(b"not a name of ours")
    with (
        pytest.warns(UserWarning, match="it was not written by ExactResume"),
        pytest.raises(ValueError, match="no checkpoint in .* can be read.*or remove the folder to start over"),
    ):
        Checkpoints(tmp_path).latest()


def test_a_failed_write_loses_nothing(tmp_path, monkeypatch):
    files = Checkpoints(tmp_path)
    for step in range(2):
        files.write({"step": step})
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, _fail)
            with pytest.raises(OSError):
                files.write({"step": 9})
        assert Checkpoints(tmp_path).latest() == {"step": 1}
    files.write({"step": 2})
    assert Checkpoints(tmp_path).latest() == {"step": 2}
    assert names(tmp_path) == ["run-00000002.npz", "run-00000003.npz"]


def _fail(*args):
    raise OSError("No space left on device")


def test_file_and_name_are_flushed_to_disk_before_an_old_file_is_removed(tmp_path, monkeypatch):
    files, order = Checkpoints(tmp_path), []
    files.write({"step": 0})
    for name in ("fsync", "replace"):
        plain = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, plain=plain, name=name: (order.append(name), plain(*args)))
    files.write({"step": 1})
    assert order == ["fsync", "replace", "fsync"]


def test_an_object_that_is_no_plain_data_is_an_error(tmp_path):
    with pytest.raises(TypeError, match="cannot write a set"):
        Checkpoints(tmp_path).write({"a": {1}})
    assert Checkpoints(tmp_path).latest() is None
