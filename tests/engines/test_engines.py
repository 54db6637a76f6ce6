"""Training on several devices equals training on one, under every engine of the frameworks.

Oracle: the same case on one device (`Alone`), which other tests compare with NumPy. Tolerance: 1e-5 of each number, or
of 1 for smaller ones, because sums in float32 take another order. Each group of processes runs all cases once.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from engines import cases
from support.harness import BACKEND

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
TITLES = [*cases.CASES, *cases.FITS]
# Name of a group of processes: its engines and the number of processes.
GROUPS = {
    "jax": {
        "4 devices": (["DataParallel on 4", "ModelParallel on 4"], 1),
        "8 devices": (["DataParallel on 8", "ModelParallel on 8"], 1),
    },
    # One strategy in a process: the reductions of a second one, on other devices, fail inside of TensorFlow.
    "tensorflow": {f"{n} replicas": ([f"MirroredStrategy on {n}"], 1) for n in (2, 4)},
    "torch": {f"{n} loops": (["DistributedDataParallel"], n) for n in (2, 4)},
}[BACKEND]
if BACKEND == "torch" and hasattr(keras.Model, "_initialize_ddp"):
    GROUPS |= {f"{n} fits": (["fit"], n) for n in (2, 4)}


def answers_of(names, world, folder):
    """The answer of each process of a group."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", FOLDER)))}
    processes = []
    for rank in range(world):
        order = {"engines": names, "rank": rank, "world": world, "folder": str(folder)}
        command = [sys.executable, FOLDER / "worker.py", json.dumps(order), folder / f"{rank}.json"]
        errors = (folder / f"{rank}.log").open("w")
        processes.append(subprocess.Popen(command, env=environment, stdout=errors, stderr=subprocess.STDOUT))
    for rank, process in enumerate(processes):
        assert process.wait(timeout=3000) == 0, (folder / f"{rank}.log").read_text()[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(world)]


@pytest.fixture(scope="module", params=GROUPS)
def answers(request, tmp_path_factory):
    return answers_of(*GROUPS[request.param], tmp_path_factory.mktemp("group"))


@pytest.mark.parametrize("title", TITLES)
def test_the_numbers_are_those_of_one_device(title, answers):
    for answer in answers:
        wanted = answer["one device"].get(title)
        for engine, found in answer.items():
            if title not in found:
                assert engine == "DistributedDataParallel" and title in cases.FITS
                continue
            if engine.startswith("MirroredStrategy") and title in cases.SEARCHES:
                assert "A step that evaluates the loss sees one replica's part" in found[title]["error"]
                continue
            assert "error" not in found[title], f"{engine}: {found[title]}"
            _assert_close(found[title], wanted, f"{engine}, {title}")


def _assert_close(found, wanted, title):
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5, err_msg=f"{title}: {name}")


def test_all_processes_hold_identical_weights(answers):
    first, *others = answers
    for engine, found in first.items():
        for title, numbers in found.items():
            for other in others:
                weights = {name: values for name, values in numbers.items() if name.isdigit()}
                assert weights == {name: other[engine][title][name] for name in weights}, f"{engine}, {title}"


def test_a_resumed_run_ends_like_an_uninterrupted_one(answers):
    for found in answers[0].values():
        if "resumed after a kill" in found:
            _assert_close(found["resumed after a kill"], found["Adam"], "resumed")
