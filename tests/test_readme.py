"""The code in the README runs, and its table lists exactly the public names."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from support.public import subpackages, units

import keras_lecture.figures

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def test_example_runs(tmp_path, monkeypatch):
    """Runs the code as printed on a few random images; the saved model gives the same predictions."""
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    rng = np.random.default_rng(0)
    names = {"x_train": rng.normal(size=(64, 8, 8, 1)).astype("float32"), "y_train": rng.integers(0, 10, size=64)}
    names |= {"x_val": names["x_train"][:32], "y_val": names["y_train"][:32]}
    exec(compile(code.replace("epochs=10", "epochs=2, verbose=0"), "README.md", "exec"), names)
    restored = keras.models.load_model("digits.keras")
    expected = names["model"].predict(names["x_val"], verbose=0)
    np.testing.assert_allclose(restored.predict(names["x_val"], verbose=0), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("area", sorted(subpackages()))
def test_table_lists_every_public_name(area):
    row = next(line for line in README.splitlines() if re.match(rf"\|.*`{area}`.*\|", line))
    for name, _ in units(subpackages()[area]):
        family = re.sub(r"\dD$", "", name)
        assert re.search(rf"`{name}[`(]|`{family}1D/2D/3D`", row), f"the README does not list {area}.{name}"


def test_every_name_in_table_exists():
    table = README.partition("## Contents")[2].partition("##")[0]
    names = {name for module in (*subpackages().values(), keras_lecture.figures) for name, _ in units(module)}
    shown = re.findall(r"`(?:schedules\.)?([A-Z]\w+|[a-z_]+(?=\())[^`]*`", table)
    assert len(shown) > 60
    assert {re.sub(r"1D/2D/3D", "", name) for name in shown} <= names | {"MaxPooling1D"}
