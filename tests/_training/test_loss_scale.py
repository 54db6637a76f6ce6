"""A loss scale that grows from step to step changes neither searches nor monitors nor clipping.

Oracle: the same training without loss scaling. Scales are powers of 2, by which a float32 product is exact, so the
tolerance is that of sums in another order.
"""

import keras
import numpy as np
import pytest
from support.harness import bound
from support.small_fit import COMPILED, X, Y, built

from keras_lecture import callbacks, optimizers

SEARCHES = {
    "Armijo": optimizers.Armijo,
    "LBFGS": lambda: optimizers.LBFGS(iterations=2, memory=3),
    "NewtonCG": lambda: optimizers.NewtonCG(iterations=3),
}
CLIPPING = {rule: {rule: 0.05} for rule in ("value", "norm", "global_norm", "unit_norm")} | {
    "percentile": {"percentile": 50}
}


def history(optimizer, scaled, *watching):
    model = built()
    if scaled:
        # It doubles in every second step: 8, 16, 32, 64.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0, dynamic_growth_steps=2)
    model.compile(bound(optimizer, model), "mse", **COMPILED)
    logs = model.fit(X, Y, batch_size=16, epochs=3, shuffle=False, verbose=0, callbacks=list(watching)).history
    if scaled:
        assert float(model.optimizer.dynamic_scale) == 64.0
    return logs | {str(n): np.ravel(w) for n, w in enumerate(model.get_weights())}


def assert_same(make, *watch):
    plain, scaled = (history(make(), scaled, *(each() for each in watch)) for scaled in (False, True))
    assert set(scaled) == set(plain)
    for name, values in plain.items():
        np.testing.assert_allclose(scaled[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_takes_the_same_steps(name):
    assert_same(SEARCHES[name])


@pytest.mark.parametrize("name", CLIPPING)
def test_clipping_and_the_monitor_measure_the_same(name):
    assert_same(
        lambda: optimizers.Adam(0.05),
        lambda: callbacks.GradientClipping(**CLIPPING[name], on_nonfinite="skip"),
        lambda: callbacks.GradientMonitor(per_layer=True),
        callbacks.TerminateOnNonFinite,
    )
