"""Training on two devices is training on one: simulated devices on JAX and TensorFlow, two processes on PyTorch.

The oracle is the same training in one place, which the other tests hold against NumPy.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from harness import BACKEND
from noisy_quadratic import RULES

FOLDER = Path(__file__).parent / "distributed"
ROOT = FOLDER.parents[2]
# float32 sums in another order, eight steps.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each process of this backend's script found."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{FOLDER}"}
    arguments = [[]]
    if BACKEND == "torch":
        rendezvous = str(tmp_path_factory.mktemp("rendezvous") / "file")
        arguments = [["0", rendezvous], ["1", rendezvous]]
    script = FOLDER / f"on_{BACKEND}.py"
    processes = [
        subprocess.Popen(
            [sys.executable, script, *rest], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for rest in arguments
    ]
    outputs = [process.communicate(timeout=300) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors[-3000:]
    return [json.loads(output) for output, _ in outputs]


def _assert_same(runs):
    alone, *shared = runs
    for run in shared:
        for a, w in zip(run, alone, strict=True):
            np.testing.assert_allclose(a, w, **CLOSE)


@pytest.mark.parametrize("rule", RULES if BACKEND == "torch" else ("Nesterov", "AdaGrad", "Adam"))
def test_a_rule_trains_on_two_devices_as_on_one(rule, answers):
    for found in answers:
        _assert_same(found[rule])


if BACKEND != "torch":

    def test_a_state_saved_under_one_distribution_loads_under_every_other(answers):
        """The slots of many small variables lay in common ones, unless their data were shared: 6 variables or 70.

        Oracle: what was written into the slots, each of them numbered.
        """
        found = answers[0]["states"]
        assert len(found) == (9 if BACKEND == "jax" else 4)
        for (iterations,), _, *slots in found:
            assert iterations == 7
            for number, (slot, size) in enumerate(zip(slots, 2 * 17 * [16, 4], strict=True)):
                np.testing.assert_array_equal(slot, np.arange(size) + 100 * number)


if BACKEND == "jax":

    def test_slots_take_the_layout_of_their_variables(answers):
        layouts = answers[0]["layouts"]
        # Of four variables: a velocity, a sum, and Adam's two averages.
        assert len(layouts) == 4 * (1 + 1 + 2)
        for path, (slot, variable, shards, shape) in layouts.items():
            assert slot == variable, path
            if "kernel" in path:
                assert shards == [[shape[0], shape[1] // 2]] * 2, path

    def test_averages_train_on_shared_variables(answers):
        _assert_same(answers[0]["averages"])

    def test_a_line_search_takes_the_steps_of_one_device_on_two(answers):
        _assert_same(answers[0]["searches"])


if BACKEND == "tensorflow":

    @pytest.mark.parametrize("name", ["scaled", "averages"])
    def test_wrappers_work_on_replicas(name, answers):
        assert answers[0]["replicas"] == 2
        _assert_same(answers[0][name])


if BACKEND == "torch":

    def test_both_processes_hold_the_same_weights(answers):
        first, second = answers
        assert first["replicas"] == second["replicas"] == 2
        for rule in RULES:
            _assert_same([first[rule][1], second[rule][1]])
