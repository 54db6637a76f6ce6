"""The record of a run is the same on three backends."""

import importlib.util
import json
import math
from pathlib import Path

HERE = Path(__file__).resolve().parent / "doctor"
# What differs between the backends by its meaning.
OWN = {"backend", "keras", "library", "invariants", "unseen"}


def _maker():
    spec = importlib.util.spec_from_file_location("make_golden", HERE / "make_golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(ours, theirs, path=""):
    """Paths and values at which two records differ by more than 1e-4 relative and 1e-5 absolute."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from differences(ours.get(key), theirs.get(key), f"{path}/{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*pair, f"{path}/{index}")
    elif isinstance(ours, float) and isinstance(theirs, float | int):
        if not math.isclose(ours, theirs, rel_tol=1e-4, abs_tol=1e-5):
            yield path, ours, theirs
    elif ours != theirs:
        yield path, ours, theirs


def test_the_record_is_that_of_the_backend_which_wrote_the_file():
    """Oracle: `record.json`, written under JAX; tolerance 1e-4 relative, 1e-5 absolute."""
    expected = json.loads((HERE / "record.json").read_text())
    found = _maker().record()
    same = [{key: value for key, value in each.items() if key not in OWN} for each in (found, expected)]
    assert list(differences(*same)) == []
    holds = [{name: fact["holds"] for name, fact in each["invariants"].items()} for each in (found, expected)]
    assert not [name for name, answer in holds[0].items() if answer is False]
    assert found["unseen"] == expected["unseen"] == []


def test_another_weight_gives_another_record():
    """The comparison can fail: a record with one changed number."""
    expected = json.loads((HERE / "record.json").read_text())
    changed = json.loads(json.dumps(expected))
    changed["probes"][-1]["layers"][0]["std"] *= 1.001
    assert len(list(differences(changed, expected))) == 1
