"""Rules on signals, gradients and units: sick records, near misses of healthy runs, and records that cannot tell."""

import keras
import numpy as np
import pytest
from diagnosis._rules.runs import alarms, answers, change_rows, falling, healthy, run, severities, stuck

from keras_lecture.diagnosis._rules import flow

pytestmark = pytest.mark.once

UNKNOWN = {"zero-gradient", "vanishing-gradient", "exploding-gradient", "dead-relu", "saturation"}


def test_healthy_runs_raise_no_alarm():
    for epochs in (1, 3, 10, 200):
        assert alarms(healthy(epochs), flow) == []


@pytest.mark.parametrize("rule", [rule.id for rule in flow.RULES])
def test_nothing_measured_is_unknown(rule):
    found, unknown = answers(flow, rule, {"probes": []})
    assert found == [] and len(unknown) == 1


def test_zero_gradient_everywhere_is_high():
    record = stuck()
    for probe in record["probes"]:
        for row in probe["layers"]:
            row["weights"][0]["gradient"] = 0.0
    assert severities(flow, "zero-gradient", record) == ["high"]


def test_zero_gradient_of_a_converged_run_is_silent():
    record = healthy()
    for row in record["probes"][-1]["layers"]:
        row["weights"][0]["gradient"] = 0.0
    assert severities(flow, "zero-gradient", record) == []


def test_zero_gradient_behind_a_zero_kernel_at_the_start_heals():
    # A residual branch that starts with a zero kernel.
    record = change_rows(healthy(), slice(0, 1), ["a"], weight_gradient=0.0)
    assert severities(flow, "zero-gradient", record) == []


def test_vanishing_gradient_without_progress():
    record = change_rows(stuck(), gradient=[1e-8, 1e-6, 1e-3])
    assert severities(flow, "vanishing-gradient", record) == ["medium"]
    assert alarms(record, flow) == ["vanishing-gradient"]


def test_vanishing_gradient_of_a_run_that_learns_is_low_at_most():
    record = change_rows(healthy(), gradient=[1e-8, 1e-6, 1e-3])
    assert set(severities(flow, "vanishing-gradient", record)) <= {"low"}


def test_small_gradients_in_all_layers_do_not_vanish():
    # Converged, or the flat end of a schedule: all layers alike.
    assert severities(flow, "vanishing-gradient", change_rows(healthy(), gradient=1e-12)) == []


def test_exploding_gradient_from_the_start():
    record = change_rows(stuck(level=9.0), weight_gradient=1e4)
    assert severities(flow, "exploding-gradient", record) in (["medium"], ["high"])


def test_a_signal_that_explodes_is_not_called_a_steep_gradient():
    """A page said that an ordinary step overshoots, beside a chart without any gradient: the softmax was saturated."""
    record = change_rows(stuck(level=9.0), slice(0, 1), std=[1.0, 30.0, 999.0])
    (found,), _ = answers(flow, "exploding-gradient", record)
    assert found.cause.startswith("The kernels are so large") and "HeNormal" in found.code and found.layer is None
    assert "change of the loss per change of a kernel" not in found.evidence


def test_the_code_for_kernels_that_are_too_large_draws_all_of_them_again():
    """A page's code gave one of eight layers He's initialization, which left the softmax saturated."""
    record = change_rows(stuck(level=9.0), slice(0, 1), std=[1.0, 30.0, 999.0])
    record["model"]["layers"][0]["weights"][0] |= {"shape": [50, 32], "rms": 1.0}
    (found,), _ = answers(flow, "exploding-gradient", record)
    # √(2/50) by hand.
    assert found.evidence["kernel of a, root mean square"] == "1 (He: 0.2)"
    large = keras.initializers.RandomNormal(stddev=1.0, seed=0)
    layers = [keras.layers.Dense(64, "relu", kernel_initializer=large) for _ in range(2)]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dropout(0.5)])
    exec(found.code, {"model": model, "keras": keras})
    for layer in layers:
        # 4,096 numbers: the error of the spread is 1.1 %, and 5 % a chance of 1e-5.
        np.testing.assert_allclose(np.std(layer.get_weights()[0]), np.sqrt(2 / 64), rtol=0.05)


def test_kernels_of_zeros_are_the_cause_of_gradients_of_zero():
    """A page told the reader to look for dead units and for argmax in a GRU that was initialized with zeros."""
    record = change_rows(stuck(), weight_gradient=0.0)
    for probe in record["probes"]:
        probe["layers"][-1]["weights"][0]["gradient"] = 0.0
    assert answers(flow, "zero-gradient", record)[0][0].cause.startswith("No kernel has a gradient")
    record["model"]["layers"][0]["weights"][0] |= {"constant": True, "rms": 0.0}
    (found,), _ = answers(flow, "zero-gradient", record)
    assert found.cause.startswith("All kernels of a are 0 from the start") and "GlorotUniform" in found.code


def test_gradients_of_zero_and_equal_signals_are_not_called_too_few_layers():
    """A page said that fewer than three hidden layers were measured, above a table of eight."""
    record = change_rows(stuck(), gradient=0.0, std=0.0)
    for rule in ("vanishing-gradient", "shrinking-signal", "growing-signal"):
        assert answers(flow, rule, record) == ([], [])
    few = stuck(names=("a",))
    for rule in ("vanishing-gradient", "shrinking-signal", "growing-signal"):
        _, (unknown,) = answers(flow, rule, few)
        assert unknown.needed == ""


def test_large_early_gradients_are_no_explosion():
    record = change_rows(healthy(), slice(0, 2), weight_gradient=30.0)
    assert severities(flow, "exploding-gradient", record) == []
    record = change_rows(healthy(), slice(0, 2), weight_gradient=1e4)
    assert alarms(record, flow) == []


@pytest.mark.parametrize(("rule", "spreads"), [("shrinking-signal", [1, 0.1, 0.01]), ("growing-signal", [1, 10, 99])])
def test_signal_by_depth(rule, spreads):
    assert severities(flow, rule, change_rows(healthy(), slice(0, 1), std=spreads)) == ["low"]
    assert severities(flow, rule, change_rows(healthy(), slice(0, 1), std=[1.0, 1.5, 0.6])) == []


def test_dead_layer_without_progress_is_high():
    record = change_rows(stuck(), names=["b"], dead=32, zeros=1.0)
    assert severities(flow, "dead-relu", record) == ["high"]


def test_sparse_units_are_not_dead():
    assert severities(flow, "dead-relu", change_rows(healthy(), zeros=0.95, dead=3)) == []


def test_dead_units_of_a_run_that_learns_are_low():
    assert severities(flow, "dead-relu", change_rows(healthy(), names=["b"], dead=30)) == ["low"]


def test_units_killed_by_a_high_rate_are_the_rates_fault():
    record = change_rows(stuck(update=0.5), slice(1, None), ["b"], dead=32)
    assert severities(flow, "dead-relu", record) == ["low"]


def test_saturation_without_progress():
    record = change_rows(stuck(activation="tanh"), saturated=0.9)
    assert severities(flow, "saturation", record) == ["medium"]
    assert severities(flow, "saturation", change_rows(stuck(activation="tanh"), saturated=0.3)) == []


def test_saturation_of_a_trained_model_is_success():
    assert severities(flow, "saturation", change_rows(healthy(activation="tanh"), saturated=0.7)) == []


def test_a_layer_that_no_gradient_passes_is_named():
    """A page said that there was no serious fault: a `Lambda` kept the recurrent layer before it from learning."""
    record = run(falling(10), names=("a", "b", "c"))
    for probe in record["probes"]:
        for measured in probe["layers"][:2]:
            measured["gradient"] = measured["weights"][0]["gradient"] = 0.0
    found = answers(flow, "zero-gradient", record)[0][0]
    assert (found.severity, found.layer) == ("medium", "c")
    assert "No gradient passes c" in found.cause and "signals(" in found.code
    # A layer at rest has a rule of its own.
    record["probes"][-1]["layers"][2]["dead"] = 32
    assert severities(flow, "zero-gradient", record) == ["low"]


def test_saturated_layers_that_never_learn_are_a_fault_of_a_run_that_learns():
    """The output layer alone learned, up to 43 % of the way, and the page said that there was no serious fault."""
    record = change_rows(healthy(activation="tanh"), saturated=1.0)
    for layer in record["model"]["layers"][:-1]:
        layer["weights"][0] |= {"rms": 26.0, "shape": [32, 32]}
    assert severities(flow, "saturation", record) == ["low"]
    for probe in record["probes"]:
        for row in probe["layers"][:-1]:
            row["weights"][0]["gradient"] = 0.0
    found = answers(flow, "saturation", record)[0][0]
    assert found.severity == "medium" and "glorot_uniform" in found.code
    # Glorot's standard deviation for 32 inputs and 32 outputs: √(2/64) = 0.177.
    assert found.evidence["kernel, root mean square"] == "26 at the start (healthy: 0.18, Glorot's)"


def test_the_audits_cause_keeps_symptoms_low():
    record = change_rows(stuck(), names=["b"], dead=32)
    record["start"]["first_inputs"] = [{"layer": "a", "rms": 150.0, "offset": 1.0}]
    assert severities(flow, "dead-relu", record) == ["low"]


def test_gates_saturated_by_their_recurrent_kernel():
    """The gates of an LSTM are no outputs: the size of the kernel decides. Oracle: ½·5·√8 = 7.1; orthogonal: ½."""
    weight = {"name": "recurrent_kernel", "role": "kernel", "shape": [8, 32]}
    for rms, expected in ((5.0, ["low"]), (8**-0.5, [])):
        layers = [{"name": "lstm", "class": "LSTM", "weights": [weight | {"rms": rms}]}]
        assert severities(flow, "saturation", {"model": {"layers": layers}}) == expected
