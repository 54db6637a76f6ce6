"""Two simulated devices: the weights after training on one, with sharded data, and with sharded variables."""

import os
import tempfile

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

from keras.distribution import DataParallel, DeviceMesh, LayoutMap, ModelParallel, set_distribution
from shared_task import COMPILED, SETTINGS, X, Y, answer, loaded_state, network, save_deep, train, weights

from keras_lecture import optimizers


def model_parallel():
    layouts = LayoutMap(DeviceMesh((1, 2), ["batch", "model"]))
    layouts[".*dense.*kernel"] = (None, "model")
    layouts[".*dense.*bias"] = ("model",)
    return ModelParallel(layout_map=layouts, batch_dim_name="batch")


results = {"layouts": {}}
for rule in COMPILED:
    runs = []
    # Data-parallel training takes the same path for every rule: two stand for all.
    data_parallel = [DataParallel()] if rule in ("Nesterov", "Adam") else []
    for distribution in (None, *data_parallel, model_parallel()):
        set_distribution(distribution)
        model = train(getattr(optimizers, rule)(0.05, **SETTINGS))
        runs.append(weights(model))
    results[rule] = runs
    # Of the last run: the layouts of a slot and its variable, the shapes of the slot's shards, that of the variable.
    named = {v.path.replace("/", "_"): v for v in model.trainable_variables}
    for slot in model.optimizer.variables:
        for name, variable in named.items():
            if name in slot.path:
                pair = [repr(v.value.sharding.spec) for v in (slot, variable)]
                shards = [list(shard.data.shape) for shard in slot.value.addressable_shards]
                results["layouts"][slot.path] = [*pair, shards, list(variable.shape)]

results["averages"] = []
for distribution in (None, model_parallel()):
    set_distribution(distribution)
    lookahead = optimizers.Lookahead(optimizers.Adam(0.05), period=2)
    model = train(optimizers.StochasticWeightAverage(lookahead, start=3))
    results["averages"].append(weights(model))

results["searches"] = []
for distribution in (None, DataParallel(), model_parallel()):
    set_distribution(distribution)
    model = network()
    model.compile(optimizers.Armijo(direction="momentum").bind(model), "mse")
    model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    results["searches"].append(weights(model))
results["states"] = []
with tempfile.TemporaryDirectory() as folder:
    for number, source in enumerate((None, DataParallel(), model_parallel())):
        set_distribution(source)
        save_deep(f"{folder}/{number}.keras")
    for target in (None, DataParallel(), model_parallel()):
        set_distribution(target)
        results["states"] += [loaded_state(f"{folder}/{number}.keras") for number in range(3)]
answer(results)
