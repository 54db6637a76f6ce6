"""Records and recordings that someone else has written: an error or a page of text, and nothing more."""

import json

import numpy as np
import pytest
from support.crafted_zips import Fires, archive, npy
from support.hostile_configs import CODE, MARK
from support.watched_calls import watched

from keras_lecture import diagnosis
from keras_lecture.diagnosis._record.record import new_record

MARKUP = f"</script><script src=//{MARK}></script><img src=x onerror={MARK}()>"


@pytest.mark.parametrize(
    ("members", "options"),
    [
        ({"head.npy": npy(np.array([Fires()], dtype=object))}, {}),
        ({"head.npy": npy(np.zeros(8, "uint8"), shape=(2**45,))}, {}),
        ({"head.npy": npy(np.zeros(8, "uint8"))}, {"declare": 2**45}),
        ({"head.npy": npy(np.zeros(8, "uint8"))}, {"declare": 2**31, "copies": 9}),
        ({"head.npy": npy(np.frombuffer(b"[" * 10**5, "uint8"))}, {}),
        ({"head.npy": npy(np.frombuffer(b'{"schema": 1e999}', "uint8"))}, {}),
        ({"head": b"text"}, {}),
        ({}, {}),
    ],
)
def test_a_crafted_recording_is_refused(tmp_path, capsys, members, options):
    path = tmp_path / "run.npz"
    archive(path, members, **options)
    with (
        watched(mark=MARK, may_open=[path], seconds=4.0),
        pytest.raises(ValueError, match=r"is no file of `divergence.record`|has the schema"),
    ):
        diagnosis.divergence.compare(path, path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["", "[" * 10**5, "7", '{"schema": 2}', '{"schema": "1"}', '{"schema": NaN}', "\x00"])
def test_a_crafted_record_is_refused(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    with watched(mark=MARK, may_open=[path], seconds=4.0), pytest.raises((ValueError, RecursionError)):
        diagnosis.report(path)


def test_words_of_a_record_reach_the_page_as_text(tmp_path):
    """Names of layers, sentences and findings come from the file."""
    record = {**new_record(), "unseen": [MARKUP, CODE], "library": MARKUP}
    record["model"] = {"name": MARKUP, "layers": []}
    finding = {"rule": MARKUP, "severity": "high", "layer": MARKUP, "text": MARKUP}
    for document in (
        record,
        {**record, "findings": [], "unknown": [], "actions": []},
        {**record, "findings": [finding]},
    ):
        path, page = tmp_path / "run.json", tmp_path / "run.html"
        path.write_text(json.dumps(document))
        page.unlink(missing_ok=True)
        with watched(mark=MARK, may_open=[tmp_path], seconds=8.0) as watch:
            try:
                diagnosis.report(path, page)
            except (KeyError, TypeError, ValueError):
                # A finding without its fields: no page was written, complete or not.
                assert not page.exists()
            # Its own two files are written and renamed.
            watch.events = [event for event in watch.events if str(tmp_path) not in event]
        assert not page.exists() or f"<script src=//{MARK}>" not in page.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) in (["run.html", "run.json"], ["run.json"])
