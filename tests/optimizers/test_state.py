"""The state of a rule through saving, setting weights, freezing and copying; the features of Keras's base class."""

import copy
import pickle
import warnings

import keras
import numpy as np
import pytest
from support.harness import BACKEND, TOLERANCES, bound, built_for, numpy
from support.noisy_quadratic import KERNELS, RULES, expected, gradient, run, start, variables

from keras_lecture import optimizers

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(24, 4)).astype("float32")
Y = GENERATOR.normal(size=(24, 2)).astype("float32")


def _model(optimizer, seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(2)])
    model.compile(bound(optimizer, model), "mse")
    return model


def _fit(model, epochs=2):
    model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, shuffle=False)
    return [numpy(v) for v in model.trainable_variables]


@pytest.mark.parametrize("rule", RULES)
def test_resuming_from_a_saved_model_continues_bit_for_bit(rule, tmp_path):
    settings = {"weight_decay": 0.1, "l1": 1e-4, "global_clipnorm": 0.5}
    model = _model(getattr(optimizers, rule)(0.01, **settings))
    _fit(model)
    model.save(tmp_path / "model.keras")
    want = _fit(model)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is getattr(optimizers, rule)
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    bound(loaded.optimizer, loaded)
    for a, w in zip(_fit(loaded), want, strict=True):
        np.testing.assert_array_equal(a, w)


def test_there_is_one_variable_for_each_weight_and_slot():
    """17 equal layers had 6 variables on JAX and PyTorch and 70 in data-parallel training: a state saved in one did not
    load in the other, with a warning and `iterations` back at 0. Oracle: the shapes of the weights."""
    model = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(4) for _ in range(17))])
    model.compile(optimizers.Adam(), "mse")
    model.optimizer.build(model.trainable_variables)
    shapes = [tuple(v.shape) for v in model.trainable_variables]
    assert [tuple(v.shape) for v in model.optimizer.variables] == [(), (), *shapes, *shapes]
    paths = [v.path.replace("/", "_") for v in model.trainable_variables]
    slots = [f"{path}_{name}" for name in optimizers.Adam.slots for path in paths]
    assert [v.path.split("/")[-1] for v in model.optimizer.variables[2:]] == slots


PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


def _in(precision):
    """A trained model in this precision, and its rule, which Keras wraps in loss scaling under `mixed_float16`."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3, "tanh", dtype=precision), keras.layers.Dense(2, dtype=precision)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    optimizer = optimizers.Adam(0.01, weight_decay=0.1)
    scaled = precision == "mixed_float16"
    model.compile(keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer, "mse")
    model.fit(X, Y, batch_size=8, verbose=0, shuffle=False)
    return model, optimizer


def test_a_state_saved_in_one_precision_continues_in_every_other():
    """Oracle: the training in the precision of the saved state, to the rounding of the lowest precision."""
    models = {precision: _in(precision) for precision in PRECISIONS}
    saved, after = {}, {}
    for precision, (model, optimizer) in models.items():
        store = {}
        optimizer.save_own_variables(store)
        saved[precision] = model.get_weights(), {name: np.array(value) for name, value in store.items()}
        after[precision] = _fit(model, epochs=1)
    for target, (model, optimizer) in models.items():
        for source in PRECISIONS:
            weights, state = saved[source]
            model.set_weights(weights)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                optimizer.load_own_variables(state)
            for name, variable in enumerate(optimizer.variables):
                np.testing.assert_array_equal(numpy(variable), state[str(name)], err_msg=f"{source} in {target}")
            for a, w in zip(_fit(model, epochs=1), after[source], strict=True):
                np.testing.assert_allclose(a, w, atol=4e-3, err_msg=f"{source} in {target}")


@pytest.mark.parametrize("rule", ["Nesterov", "Adam"])
def test_training_continues_from_weights_and_slots_that_are_set(rule):
    model = _model(getattr(optimizers, rule)(0.05))
    _fit(model)
    weights, slots = model.get_weights(), [numpy(v) for v in model.optimizer.variables]
    want = _fit(model)
    model.set_weights(weights)
    model.optimizer.set_weights(slots)
    for a, w in zip(_fit(model), want, strict=True):
        np.testing.assert_array_equal(a, w)


def test_restoring_the_best_weights_leaves_the_optimizer_working():
    model = _model(optimizers.Adam(0.5))
    stop = keras.callbacks.EarlyStopping("loss", patience=0, restore_best_weights=True, start_from_epoch=1)
    model.fit(X, Y, epochs=20, verbose=0, callbacks=[stop])
    before = model.evaluate(X, Y, verbose=0)
    model.optimizer.learning_rate = 0.01
    model.fit(X, Y, epochs=20, verbose=0)
    assert model.evaluate(X, Y, verbose=0) < before


def test_a_copy_and_a_pickle_have_the_configuration_and_share_no_state():
    optimizer = optimizers.Adam(0.05, weight_decay=0.1)
    ws = variables("float32")
    run(optimizer, ws, 3)
    with warnings.catch_warnings():
        # Keras's optimizers come back unbuilt from a pickle, with a warning.
        warnings.simplefilter("ignore")
        copies = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    before = [numpy(v) for v in optimizer.variables]
    for other in copies:
        assert other.get_config() == optimizer.get_config()
        run(other, variables("float32"), 2)
    for a, b in zip(optimizer.variables, before, strict=True):
        np.testing.assert_array_equal(numpy(a), b)


def test_frozen_layers_keep_their_weights_and_unfrozen_ones_train_on():
    model = _model(optimizers.Adam(0.05))
    _fit(model)
    frozen, optimizer = model.layers[0], model.optimizer
    frozen.trainable = False
    before = numpy(frozen.kernel)
    # Keras's trainer on JAX requires an optimizer built on exactly the trainable variables.
    model.compile(optimizers.Adam(0.05) if BACKEND == "jax" else optimizer, "mse")
    _fit(model)
    np.testing.assert_array_equal(numpy(frozen.kernel), before)
    frozen.trainable = True
    model.compile(bound(optimizer, model), "mse")
    _fit(model)
    assert not np.allclose(numpy(frozen.kernel), before)


@pytest.mark.parametrize("rule", RULES)
def test_a_missing_gradient_leaves_its_variable_alone_and_warns(rule):
    optimizer, ws = getattr(optimizers, rule)(0.1), variables("float32")
    run(optimizer, ws, 2)
    before = [numpy(w) for w in ws]
    if rule == "Nesterov":
        optimizer.look_ahead()
    gradients = [keras.ops.convert_to_tensor(g.astype("float32")) for g in gradient(start(), 0)]
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([gradients[0], None, gradients[2], gradients[3]], ws)
    np.testing.assert_allclose(numpy(ws[1]), before[1], rtol=1e-6)
    assert not np.allclose(numpy(ws[0]), before[0])


@pytest.mark.parametrize("rule", RULES)
def test_without_variables_there_is_no_step_and_without_gradients_an_error(rule):
    optimizer = getattr(optimizers, rule)()
    built_for(optimizer, [])
    optimizer.apply([], [])
    assert int(optimizer.iterations) == 0
    optimizer, w = getattr(optimizers, rule)(), keras.Variable([1.0])
    built_for(optimizer, [w])
    with pytest.raises(ValueError, match="No gradients provided"):
        optimizer.apply([None], [w])


def test_variables_that_are_overwritten_with_their_gradient_have_no_slots():
    w, scale = keras.Variable([1.0]), keras.Variable([2.0], name="scale")
    scale.overwrite_with_gradient = True
    for rule in RULES:
        optimizer = getattr(optimizers, rule)(0.5)
        built_for(optimizer, [w, scale])
        if rule == "Nesterov":
            optimizer.look_ahead()
        optimizer.apply([keras.ops.ones((1,)), keras.ops.convert_to_tensor([7.0])], [w, scale])
        assert float(scale.numpy()[0]) == 7.0
        assert all(slots[1] is None for slots in optimizer._slots)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_weights_have_float32_slots_and_the_step_of_float32(rule, dtype):
    ws = variables(dtype)
    after = run(getattr(optimizers, rule)(0.05, weight_decay=0.1), ws, 5)
    optimizer = getattr(optimizers, rule)(0.05)
    built_for(optimizer, ws)
    assert {keras.backend.standardize_dtype(v.dtype) for slots in optimizer._slots for v in slots} <= {"float32"}
    for a, w in zip(after, expected(rule, 5, 0.05, decay=0.1), strict=True):
        # Five roundings of a weight to 11 or 8 bits.
        np.testing.assert_allclose(a.astype("float32"), w, rtol=0.02, atol=0.03 if dtype == "bfloat16" else 0.004)


def test_an_embedding_with_sparse_gradients_takes_the_dense_step():
    x, y = np.array([[0, 1], [1, 1]]), np.ones((2, 1), "float32")
    for rule in ("Momentum", "Adam"):
        results = []
        for optimizer in (getattr(optimizers, rule)(0.1), getattr(optimizers, rule)(0.1, clipvalue=100.0)):
            keras.utils.set_random_seed(0)
            layers = [keras.Input((2,)), keras.layers.Embedding(5, 3), keras.layers.Flatten(), keras.layers.Dense(1)]
            model = keras.Sequential(layers)
            model.compile(bound(optimizer, model), "mse")
            model.fit(x, y, epochs=3, verbose=0)
            results.append(numpy(model.layers[0].embeddings))
        np.testing.assert_allclose(*results, rtol=1e-5, err_msg=rule)


@pytest.mark.parametrize("rule", RULES)
def test_gradient_accumulation_averages_gradients_and_counts_optimizer_steps(rule, float64):
    steps = 6 if rule == "Adam" else 2
    optimizer = getattr(optimizers, rule)(0.05, gradient_accumulation_steps=2, weight_decay=0.1)
    ws = variables("float64")
    built_for(optimizer, ws)
    # Two gradients each time, of the same weights: their mean is the gradient of the oracle's step.
    for k in range(2 * steps):
        if rule == "Nesterov":
            optimizer.look_ahead()
        gradients = gradient([numpy(w) for w in ws], k // 2)
        sign = 1.0 if k % 2 else -1.0
        optimizer.apply([keras.ops.convert_to_tensor(g + 0.5 * sign, dtype="float64") for g in gradients], ws)
    for a, w in zip(ws, expected(rule, steps, 0.05, decay=0.1), strict=True):
        np.testing.assert_allclose(numpy(a), w, **TOLERANCES["float64"])


@pytest.mark.parametrize("rule", RULES)
def test_keras_moving_average_of_the_weights_works(rule):
    optimizer, ws = getattr(optimizers, rule)(0.1, use_ema=True, ema_momentum=0.5), variables("float32")
    path = [run(optimizer, ws, 1, first=k) for k in range(3)]
    for w, free in zip(ws, run(getattr(optimizers, rule)(0.1), variables("float32"), 3), strict=True):
        np.testing.assert_array_equal(numpy(w), free)
    optimizer.finalize_variable_values(ws)
    np.testing.assert_allclose(numpy(ws[0]), 0.25 * path[0][0] + 0.25 * path[1][0] + 0.5 * path[2][0], rtol=1e-5)


def test_loss_scaling_gives_the_same_weights():
    plain = _fit(_model(optimizers.Momentum(0.05)))
    scaled = _fit(_model(keras.optimizers.LossScaleOptimizer(optimizers.Momentum(0.05), initial_scale=8.0)))
    fixed = _fit(_model(optimizers.Momentum(0.05, loss_scale_factor=8.0)))
    for p, s, f in zip(plain, scaled, fixed, strict=True):
        np.testing.assert_allclose(s, p, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(f, p, rtol=1e-5, atol=1e-6)


def test_several_optimizers_share_a_model():
    chosen = keras.optimizers.OptimizerMap(optimizers.SGD(0.0), {".*kernel": optimizers.Adam(0.05)})
    model = _model(keras.optimizers.MultiOptimizer(chosen))
    before = [numpy(v) for v in model.trainable_variables]
    for a, b, v in zip(_fit(model), before, model.trainable_variables, strict=True):
        assert np.allclose(a, b) == (v.name == "bias")


def test_the_private_hooks_of_keras_that_a_rule_overrides_exist():
    """Keras clips, decays and updates in three calls that are not public; `Rule` overrides all three."""
    base = keras.optimizers.Optimizer
    hooks = ("_clip_gradients", "_apply_weight_decay", "_backend_update_step")
    looks = ("_check_variables_are_known", "_overwrite_variables_directly_with_gradients")
    for hook in (*hooks, *looks, "_get_variable_index", "_overwrite_variable_with_gradient"):
        assert callable(getattr(base, hook, None)), f"Keras {keras.__version__} has no Optimizer.{hook}: see rule.py."

    calls = []

    class Spy(optimizers.SGD):
        def _clip_gradients(self, grads):
            calls.append("clip")
            return super()._clip_gradients(grads)

        def _apply_weight_decay(self, variables):
            calls.append("decay")

        def _backend_update_step(self, grads, variables, learning_rate):
            calls.append("update")
            super()._backend_update_step(grads, variables, learning_rate)

    ws = variables("float32")
    run(Spy(0.1, weight_decay=0.1), ws, 1)
    assert calls == ["clip", "decay", "update"], f"Keras {keras.__version__} calls {calls}: see rule.py."
    optimizer = optimizers.SGD()
    built_for(optimizer, ws)
    with pytest.raises(ValueError, match="Unknown variable"):
        run(optimizer, variables("float32"), 1)
    assert [optimizer._get_variable_index(w) for w in ws] == list(range(len(KERNELS)))
    assert all(a is b for a, b in zip(optimizer._trainable_variables, ws, strict=True))
    assert any(v is optimizer._iterations for v in optimizer.variables)
