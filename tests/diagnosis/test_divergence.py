"""`divergence`: injected faults found in their layer and stage, silence on equal runs, and no trace in the model.

All 28 faults and the healthy models on all pairs of backends: `make divergence-check`.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops
from support.faulty_models import FAULTS, built
from support.healthy_models import SMALL, VECTORS, fill, stack, typed

from keras_lecture import diagnosis, optimizers
from keras_lecture._core.random_state import as_arrays, random_state
from keras_lecture.diagnosis import divergence
from keras_lecture.diagnosis._divergence import judgement
from keras_lecture.diagnosis._divergence.quantities import ENTRIES, Quantity, sampled

CHOSEN = [
    "gelu approximate",
    "batch norm momentum",
    "attention scale",
    "one weight",
    "detached",
    "regularizer",
    "loss reduction",
    "adam beta",
    "decayed bias",
    "low precision",
]


def network(*inner, optimizer="sgd", **options):
    model = fill(stack((5,), layers.Dense(4, "tanh", name="first"), *inner, layers.Dense(3, name="top")))
    model.compile(optimizer, "mse", **options)
    return model


def file(tmp_path, model, x=VECTORS, y=VECTORS[:, :3]):
    path = tmp_path / "run.npz"
    divergence.record(model, x, y, path)
    return path


@pytest.mark.parametrize("name", CHOSEN)
def test_a_fault_is_found_in_its_layer_and_stage(name, tmp_path):
    """Oracle: the layer and the stage that `faulty_models` changed."""
    stage, layer = FAULTS[name][2:]
    model, x, y = built(FAULTS[name], 0)
    path = file(tmp_path, model, x, y)
    found = divergence.compare(built(FAULTS[name], 1)[0], path, weights="own")
    assert (found.stage, found.layer) == (stage, layer), str(found)
    assert bool(found) and found.difference > found.allowed
    expected = {"low precision": "precision", "adam beta": "setting"}
    assert found.reason == expected.get(name, "formula")


def test_a_weight_decay_that_moves_weights_by_less_than_rounding_is_found_in_the_settings(tmp_path):
    """The steps alone could not tell a decay of 1e-4 in Adam from rounding: a difference of 1e-8 in the weights."""
    path = file(tmp_path, network(optimizer=keras.optimizers.Adam(1e-3, weight_decay=1e-4)))
    found = divergence.compare(network(optimizer=keras.optimizers.Adam(1e-3)), path)
    assert (found.layer, found.stage, found.reason) == ("optimizer", "step", "setting")
    assert found.quantity == "weight_decay, 0.0001 and None"
    assert "set differently" in str(found)


def test_the_settings_inside_a_wrapper_are_compared_and_names_are_not(tmp_path):
    def averaged(momentum, name):
        inner = optimizers.Momentum(0.1, momentum=momentum, name=name)
        return network(optimizer=optimizers.Lookahead(inner))

    path = file(tmp_path, averaged(0.9, "one"))
    assert not divergence.compare(averaged(0.9, "other"), path)
    found = divergence.compare(averaged(0.9 + 1e-5, "one"), path)
    assert found.reason == "setting" and found.quantity.split(",")[0].endswith("momentum")


def test_a_difference_is_that_of_the_formula(tmp_path):
    """Oracle: |x·ΔW| in NumPy float64, tolerance 1e-12 relative."""
    path = file(tmp_path, network())
    model = network()
    kernel, bias = model.get_layer("top").get_weights()
    changed = kernel + np.float32(0.25)
    model.get_layer("top").set_weights([changed, bias])
    found = divergence.compare(model, path, weights="own")
    assert (found.stage, found.layer, found.difference) == ("weights", "top", np.abs(changed - kernel).max())
    first, first_bias = (w.astype("float64") for w in model.get_layer("first").get_weights())
    hidden = np.tanh(VECTORS.astype("float32").astype("float64") @ first + first_bias)
    expected = np.abs(hidden @ (changed.astype("float64") - kernel)).max()
    rows = [row for row in found.table if (row.stage, row.mode, row.layer) == ("forward", "inference", "top")]
    assert [row.difference for row in rows] == [pytest.approx(expected, rel=1e-6)]


def test_other_weights_are_replaced_by_the_recorded_ones_and_a_note_says_so(tmp_path):
    path = file(tmp_path, network())
    model = fill(network(), seed=1)
    found = divergence.compare(model, path)
    assert not found and found.layer is None
    assert "own weights differ" in found.notes[0] and "first/kernel" in found.notes[0]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_compiled_and_uncompiled_runs_agree(policy, tmp_path):
    model, x, y = typed(policy)
    path = file(tmp_path, fill(model), x, y)
    model.run_eagerly = True
    found = divergence.compare(model, path, weights="own")
    assert not found, str(found)
    assert [run["compiled"] for run in found.runs] == [True, False]
    assert {row.stage for row in found.table} == {"weights", "forward", "backward", "step"}


def test_dropout_does_not_count_and_the_model_stays_as_it_was(tmp_path):
    """Oracle: all variables and the random state before and after, bit by bit."""
    inner = [layers.Dropout(0.5), layers.BatchNormalization(), layers.GaussianNoise(0.1)]
    model = network(*inner, optimizer=keras.optimizers.Adam(0.1))
    model.fit(VECTORS, VECTORS[:, :3], verbose=0)
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    before, state = [ops.convert_to_numpy(v).copy() for v in variables], as_arrays(random_state())
    path = file(tmp_path, model)
    found = divergence.compare(model, path, weights="own")
    assert not found and not found.notes, str(found)
    assert all(np.array_equal(a, ops.convert_to_numpy(v)) for a, v in zip(before, variables, strict=True))
    after = as_arrays(random_state())
    assert np.array_equal(after["numpy"]["state"]["key"], state["numpy"]["state"]["key"])
    assert np.array_equal(after["keras"], state["keras"])
    assert [layer.rate for layer in model.layers if hasattr(layer, "rate")] == [0.5]


@keras.saving.register_keras_serializable("test_divergence")
class Lottery(layers.Layer):
    """A layer that is random in inference too, under a name that does not tell."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, x):
        return x * keras.random.uniform(ops.shape(x), seed=self.seed_generator)


def test_a_batch_without_numbers_is_not_called_equal_in_silence(tmp_path):
    """NaN everywhere is the same NaN everywhere, also behind another activation."""
    path = tmp_path / "run.npz"
    for activation in ("relu", "gelu"):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        if activation == "relu":
            divergence.record(model, np.full((4, 3), np.nan, "float32"), np.zeros((4, 1)), path)
    found = divergence.compare(model, path)
    assert any("finite" in note for note in found.notes)


def test_a_random_layer_ends_the_comparison_with_a_note(tmp_path):
    model = network(Lottery(name="lottery"))
    found = divergence.compare(model, file(tmp_path, model))
    assert not found
    assert any("lottery" in note for note in found.notes)
    assert {row.reason for row in found.table if row.layer in ("lottery", "top") and row.stage == "forward"} == {
        "random"
    }
    assert "backward" not in {row.stage for row in found.table}


def test_two_files_with_other_batches_differ_in_the_input(tmp_path):
    model = network()
    paths = [tmp_path / f"{name}.npz" for name in "ab"]
    divergence.record(model, VECTORS, VECTORS[:, :3], paths[0])
    divergence.record(model, VECTORS * 2, VECTORS[:, :3], paths[1])
    assert not divergence.compare(paths[0], paths[0])
    found = divergence.compare(*paths)
    assert (found.stage, found.layer) == ("input", "x")


def test_another_layer_is_named_and_the_others_are_compared(tmp_path):
    path = file(tmp_path, network())
    model = network(layers.Activation("linear", name="more"))
    found = divergence.compare(model, path, weights="own")
    assert not found, str(found)
    assert "Only in the second run: more." in found.notes


def test_a_weight_that_one_run_alone_trains_is_found(tmp_path):
    path = file(tmp_path, network())
    model = network()
    model.get_layer("first").trainable = False
    model.compile("sgd", "mse")
    found = divergence.compare(model, path)
    assert (found.stage, found.layer, found.reason) == ("step", "first", "missing")


def test_without_compile_the_outputs_are_compared(tmp_path):
    model = fill(stack((8, 8, 3), layers.Conv2D(2, 3, name="conv"), layers.Softmax(name="soft")))
    path = tmp_path / "run.npz"
    divergence.record(model, SMALL, None, path)
    found = divergence.compare(model, path)
    assert {row.stage for row in found.table} == {"forward"}
    assert any("Without a compiled loss" in note for note in found.notes)


def test_the_text_has_80_columns_and_names_the_place(tmp_path):
    path = file(tmp_path, network(layers.LeakyReLU(0.2, name="a_layer_with_a_long_name_that_is_cut_in_the_table")))
    found = divergence.compare(
        network(layers.LeakyReLU(0.3, name="a_layer_with_a_long_name_that_is_cut_in_the_table")), path
    )
    assert max(map(len, str(found).splitlines())) <= 80
    assert "a_layer_with_a_long_name" in str(found).splitlines()[0] + str(found).splitlines()[1]
    assert str(divergence.compare(path, path)).startswith("The runs agree: ")


def test_wrong_arguments_are_refused(tmp_path):
    model = network()
    path = file(tmp_path, model)
    with pytest.raises(TypeError, match="record: `model` must be a Keras model"):
        divergence.record("model", VECTORS, None, path)
    with pytest.raises(ValueError, match="record: `model` must be one that can take the batch"):
        divergence.record(model, SMALL, None, path)
    with pytest.raises(ValueError, match="record: `x` must be one batch of arrays"):
        divergence.record(model, None, None, path)
    with pytest.raises(ValueError, match="compare: `weights` must be one of 'own', 'recorded'"):
        divergence.compare(model, path, weights="recorder")
    with pytest.raises(TypeError, match="compare: `model` must be a Keras model"):
        divergence.compare(3, path)
    (tmp_path / "other.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="is no file of `divergence.record`"):
        divergence.compare(model, tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        divergence.compare(model, tmp_path / "missing.npz")
    assert diagnosis.divergence is divergence


def quantity(own, double, kind="output", stage="forward"):
    made = Quantity(stage, "training", kind, 0, 0, "layer", "Dense", "", "", dtype="float32")
    made.fill(np.asarray(own, "float64"), None if double is None else np.asarray(double, "float64"))
    return made


def judged(a, b, slack=0.0):
    row, is_double = judgement._compared(a, b, 0.0, True, slack)
    return row.agrees, row.reason, is_double


EXACT = np.linspace(0.1, 1.0, 100)
ROUNDED = EXACT.astype("float32").astype("float64")


@pytest.mark.parametrize(
    ("own", "double", "expected"),
    [
        (ROUNDED, EXACT, (True, "formula", True)),
        (ROUNDED, EXACT * (1 + 1e-12), (True, "formula", True)),
        # Below the spacing of float32: a constant that the framework rounded, no divergence.
        (ROUNDED, EXACT * (1 + 1e-8), (True, "own", False)),
        (ROUNDED * (1 + 1e-5), EXACT * (1 + 1e-5), (False, "formula", True)),
        (ROUNDED * (1 + 2e-3 * np.sin(np.arange(100))), EXACT, (False, "precision", True)),
        (ROUNDED, None, (True, "own", True)),
        (ROUNDED * 1.001, None, (False, "own", True)),
        (ROUNDED[:50], EXACT[:50], (False, "shape", True)),
    ],
)
def test_the_three_criteria(own, double, expected):
    """The criteria that `judgement` states, on 100 numbers between 0.1 and 1 whose rounding is known."""
    assert judged(quantity(ROUNDED, EXACT), quantity(own, double)) == expected


def test_a_constant_near_1_that_was_rounded_is_no_divergence():
    """β = 0.999 in float32, as on TensorFlow, gives another 1 − β: the moving average of Nadam was an alarm."""
    off = (1 - float(np.float32(0.999))) / (1 - 0.999)
    slack = judgement._of_complement({"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "nesterov": True})
    made = [
        quantity(values, double, "slot", "step") for values, double in ((ROUNDED, EXACT), (ROUNDED * off, EXACT * off))
    ]
    assert judged(*made)[0] is False
    assert judged(*made, slack)[0] is True
    assert judged(made[0], quantity(ROUNDED * 1.001, EXACT * 1.001, "slot", "step"), slack)[0] is False


def test_other_nonfinite_entries_are_a_difference():
    holed = np.where(np.arange(100) == 7, np.nan, EXACT)
    assert judged(quantity(holed, holed), quantity(holed, holed))[0]
    assert not judged(quantity(holed, holed), quantity(ROUNDED, EXACT))[0]


def test_the_entries_of_a_large_tensor_are_different_ones():
    kept = sampled(np.arange(ENTRIES * 3 + 1))
    assert len(np.unique(kept)) == ENTRIES
    assert np.array_equal(np.bincount(kept % 3) > ENTRIES // 4, [True] * 3)
