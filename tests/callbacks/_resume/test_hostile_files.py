"""Checkpoint folders that someone else has written: nothing is followed, unpickled or believed."""

import json
import os
import zipfile

import numpy as np
import pytest
from support.crafted_zips import Fires, archive, npy

from keras_lecture.callbacks._resume import form
from keras_lecture.callbacks._resume.checkpoints import Checkpoints, read

MANIFEST = json.dumps({"format": 1, "arrays": 1, "content": {"dict": {"a": {"array": 0}}}})
TREE = {"epoch": 2, "batch": 0, "batches": 6, "first_epoch": 0, "stopped": False, "random": {}, "callbacks": {}}
TREE |= {"data": {}, "model": {"trainable": [{"path": "w", "dtype": "float32", "value": np.zeros(2)}]}}


@pytest.mark.parametrize(
    ("member", "options", "message"),
    [
        (npy(np.array([Fires()], dtype=object)), {}, "never unpickled"),
        (npy(np.zeros(2), shape=(2**40,)), {}, "declares 8796093022208 bytes and has 16"),
        (npy(np.zeros(2)), {"declare": 2**43}, "it declares 8796093022208 bytes and stores"),
        (npy(np.zeros(2)), {"declare": 2**30, "copies": 9}, "it declares 21474836480 bytes and stores"),
        (npy(np.zeros(10**6)), {"compression": zipfile.ZIP_DEFLATED}, "it is compressed"),
    ],
)
def test_a_crafted_file_is_refused(tmp_path, capsys, member, options, message):
    path = tmp_path / "run-00000001.npz"
    archive(path, {"manifest.json": MANIFEST, "0.npy": member}, **options)
    with pytest.raises(ValueError, match=message):
        read(path)
    assert capsys.readouterr().out == ""


def test_links_and_pipes_are_not_followed(tmp_path):
    """A link leads out of the folder, and the reader of a pipe would wait for ever."""
    Checkpoints(tmp_path / "elsewhere").write(TREE)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run-00000001.npz").symlink_to(tmp_path / "elsewhere" / "run-00000001.npz")
    os.mkfifo(folder / "run-00000002.npz")
    for path in folder.iterdir():
        with pytest.raises(ValueError, match="it is a link or no regular file"):
            read(path)


def test_writing_does_not_follow_a_link_that_was_there_before(tmp_path):
    """A link of the temporary name led the next save to another file, which it overwrote."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "unfinished-run-00000001.npz").symlink_to(victim)
    Checkpoints(folder).write(TREE)
    assert victim.read_text() == "precious"
    np.testing.assert_equal(Checkpoints(folder).latest(), TREE)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("epoch", 10**12),
        ("epoch", -1),
        ("batch", "3"),
        ("batches", float("inf")),
        ("first_epoch", 3),
        ("stopped", 1),
        ("random", []),
        ("model", {"trainable": [{"path": "w", "dtype": "float32", "value": "zeros"}]}),
        ("model", {"trainable": "w"}),
    ],
)
def test_an_intact_file_with_impossible_entries_is_skipped_for_the_one_before(tmp_path, entry, value):
    """`epoch` of 10¹² would have repeated the epochs of a `PyDataset` for days."""
    files = Checkpoints(tmp_path, form.check)
    files.write(TREE)
    files.write({**TREE, entry: value})
    with pytest.warns(UserWarning, match=f"an older one is tried.*its `{'epoch' if entry[0] == 'f' else entry}`"):
        np.testing.assert_equal(Checkpoints(tmp_path, form.check).latest(), TREE)
