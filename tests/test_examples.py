"""The examples run on every backend and end in the result that they are there to show."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from support.harness import BACKEND

# In a process of its own on JAX, each for the flags of its compiler: the suite leaves XLA unoptimized, and convolutions
# of that kind take minutes; devices are simulated from the first computation on.
ALONE = {"segmentation": "", "data_parallel": "--xla_force_host_platform_device_count=4"}
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def run(capsys, monkeypatch):
    """What a script prints. It runs in this process, which has imported its backend already."""

    def run(name):
        if BACKEND == "jax" and name in ALONE:
            return run_alone(name, ALONE[name])
        monkeypatch.setattr(sys, "argv", [name])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    yield run
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def run_alone(name, flags):
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "XLA_FLAGS": flags}
    script = [sys.executable, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(pattern, text):
    """The numbers in the one place of `text` that the pattern describes, `#` standing for each of them."""
    number = r"([-+]?(?:\d[\d,]*\.?\d*(?:e[-+]?\d+)?|nan|inf))"
    (found,) = re.findall(re.escape(pattern).replace(r"\#", number), text)
    return [float(value) for value in (found if isinstance(found, tuple) else [found])]


pytestmark = pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")


def test_digits(run):
    """Around 98 % over seeds and backends; a linear classifier reaches 96 %."""
    _, accuracy = numbers("test loss #, test accuracy #%", run("digits"))
    assert accuracy > 96.5


def test_optimizers(run):
    """The classes can be told apart by lines: by curvature the loss gets near zero, the others are on the way."""
    lines = re.findall(r"^(\w+) +loss (\S+) → (\S+)", run("optimizers"), re.MULTILINE)
    found = {name: (float(first), float(last)) for name, first, last in lines}
    assert len(found) == 11
    assert all(last < first / 3 for first, last in found.values()), found
    assert max(found[name][1] for name in ("LBFGS", "NewtonCG")) < 1e-3


def test_signals(run):
    """The lectures' figures: 0.01 dies, N(0, 1) saturates at 1, the right start keeps its order of magnitude."""
    text = run("signals")
    last = {line[:30].strip(): float(line.split()[-1]) for line in text.splitlines()[1:]}
    assert last.pop("N(0, 0.01²), tanh") < 1e-5
    assert last.pop("N(0, 1), tanh") > 0.9
    assert last.pop("Xavier, ReLU") < 0.1
    assert len(last) == 3
    assert all(0.1 < value < 1 for value in last.values()), last


def test_clipping(run):
    """Plain, the weights are lost behind a wall, where most backends get one class in ten right, or NaN."""
    text = run("clipping")
    (plain,) = re.findall(r"plain +loss \S+, training accuracy ([\d.]+)%", text)
    _, clipped = numbers("clipped  loss #, training accuracy #%", text)
    assert float(plain) < 60
    assert clipped > 85


def test_early_stopping(run):
    text = run("early_stopping")
    assert "killed; started again" in text
    assert "the same weights: True" in text
    # A third of the digits is enough for 95 % over seeds.
    assert numbers("test accuracy #%", text)[0] > 92


def test_population_batch_norm(run):
    """After one epoch the moving averages are four fifths their start."""
    moving, population = numbers(
        "test accuracy with moving averages #%, with population statistics #%", run("population_batch_norm")
    )
    assert population > 88
    assert population > moving


def test_color_photographs(run):
    """Sky and leaves are told apart by color: around 97 % over seeds; ten crops lose nothing of note."""
    text = run("color_photographs")
    (center,), (ten) = numbers("the center: #%", text), numbers("ten crops: #%", text)
    assert center > 90
    assert ten[0] > center - 3


def test_segmentation(run):
    """Scores come in steps of eight pixels and are interpolated: the border of a shape is off by one or two."""
    rest, *shapes = numbers("rest #, disc #, square #", run("segmentation"))
    assert rest > 0.9
    assert min(shapes) > 0.65


def test_fine_tuning(run):
    """The features of ten digits hold the answer, which so few images do not teach by themselves."""
    _, tuned, fresh = numbers("# images: test accuracy fine-tuned #%, from the start #%", run("fine_tuning"))
    assert tuned > fresh
    assert tuned > 80


def test_physics(run):
    """As many gradients as Adam, give or take a tenth, and a smaller residual: measured 2.5 to 110 times smaller."""
    text = run("physics")
    steps, adam, _ = numbers("Adam   # gradients, residual #, error #", text)
    evaluations, residual, error = numbers("LBFGS  # gradients, residual #, error #", text)
    assert evaluations < 1.1 * steps
    assert residual < adam
    assert error < 0.01


def test_own_rule(run):
    (accuracy,) = numbers("test accuracy with Lion #%", run("own_rule"))
    assert accuracy > 94


def test_data_parallel(run):
    text = run("data_parallel")
    if BACKEND == "jax":
        # Sums of float32 in another order.
        assert numbers("4 devices: the weights are within # of those of one device", text)[0] < 1e-4
    else:
        assert f"keras.distribution needs JAX; on {BACKEND} this was one device" in text
    assert numbers("training accuracy #%", text)[0] > 90


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_examples_are_short_and_use_the_public_names_alone(file):
    text = file.read_text(encoding="utf-8")
    assert f"test_{file.stem}" in globals(), "each example is run by a test"
    assert len(text.splitlines()) < 60, "an example fits on one screen"
    assert not re.search(
        r"keras\.src|keras_lecture\.\w+\.\w+ import|^import (jax|torch|tensorflow)\b", text, re.MULTILINE
    )
