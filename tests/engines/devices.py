"""The frameworks' own engines for several devices, each as a scope and a `fit` on global batches."""

import contextlib
import time

import keras
import numpy as np
from support.harness import BACKEND


class Alone:
    """One device; the oracle."""

    def __init__(self):
        self.alone = self

    def scope(self):
        return contextlib.nullcontext()

    def fit(self, model, x, y, size, epochs, watching):
        options = {"batch_size": size, "epochs": epochs, "shuffle": False, "verbose": 0, "callbacks": watching}
        return model.fit(x, y, **options).history


class Sharded(Alone):
    """`keras.distribution` on some of JAX's devices: data, or data and variables, split over them."""

    def __init__(self, count, variables):
        self.alone = Alone()
        devices = keras.distribution.list_devices()[:count]
        if not variables:
            self.distribution = keras.distribution.DataParallel(devices=devices)
            return
        mesh = keras.distribution.DeviceMesh((2, count // 2), ["batch", "model"], devices)
        layouts = keras.distribution.LayoutMap(mesh)
        layouts[".*dense.*kernel"] = (None, "model")
        layouts[".*dense.*bias"] = ("model",)
        self.distribution = keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")

    @contextlib.contextmanager
    def scope(self):
        keras.distribution.set_distribution(self.distribution)
        try:
            yield
        finally:
            keras.distribution.set_distribution(None)

    def fit(self, model, *args):
        with self.scope():
            logs = super().fit(model, *args)
        named = {v.path.replace("/", "_"): v for v in model.trainable_variables}
        for slot in model.optimizer.variables:
            for variable in [v for name, v in named.items() if name in slot.path]:
                layouts = [v.value.sharding for v in (slot, variable)]
                assert layouts[0].is_equivalent_to(layouts[1], len(variable.shape)), (
                    f"{slot.path} is laid out otherwise"
                )
        return logs


class Strategy(Alone):
    """A strategy of `tf.distribute`."""

    def __init__(self, strategy):
        self.alone = Alone()
        self.strategy = strategy

    def scope(self):
        return self.strategy.scope()

    def fit(self, model, *args):
        logs = super().fit(model, *args)
        for variable in model.variables:
            copies = [np.asarray(value) for value in self.strategy.experimental_local_results(variable.value)]
            assert all(np.array_equal(copy, copies[0]) for copy in copies), f"the replicas' {variable.path} differ"
        return logs


class Processes(Alone):
    """PyTorch processes with gloo, each with its part of every global batch."""

    def __init__(self, rank, world, folder):
        self.alone = Alone()
        self.rank, self.world, self.folder = rank, world, folder
        self._groups = 0

    @contextlib.contextmanager
    def group(self):
        import torch

        self._groups += 1
        file = f"file://{self.folder}/group{self._groups}"
        torch.distributed.init_process_group("gloo", init_method=file, rank=self.rank, world_size=self.world)
        try:
            yield
        finally:
            # PyTorch 2.13 waits for ever where a group ends while one of its threads still has to release Python
            # objects of its last message: with four processes on two cores in one of ten groups.
            torch.distributed.barrier()
            time.sleep(0.2)
            torch.distributed.destroy_process_group()

    def part(self, values, size):
        """The samples of this process, in slices of `size // world`."""
        return np.concatenate(
            [np.split(batch, self.world)[self.rank] for batch in np.split(values, len(values) // size)]
        )

    def fit(self, model, x, y, size, *rest):
        with self.group():
            return super().fit(model, self.part(x, size), self.part(y, size), size // self.world, *rest)


class Loop(Processes):
    """`DistributedDataParallel` around a training loop as in Keras's guide: the engine of Keras 3.15."""

    def fit(self, model, x, y, size, epochs, watching):
        import torch

        optimizer, variables = model.optimizer, model.trainable_variables
        looks_ahead = hasattr(optimizer, "look_ahead")
        (optimizer.look_ahead if looks_ahead else optimizer.build)(variables)
        with self.group():
            module = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
            for _ in range(epochs):
                # What `fit` does at the start of every epoch; population statistics start over.
                model.reset_metrics()
                parts = [torch.tensor(self.part(values, size)).split(size // self.world) for values in (x, y)]
                for inputs, targets in zip(*parts, strict=True):
                    if looks_ahead:
                        optimizer.look_ahead()
                    module.zero_grad()
                    ((module(inputs, training=True) - targets) ** 2).mean().backward()
                    with torch.no_grad():
                        optimizer.apply([v.value.grad for v in variables])
            optimizer.finalize_variable_values(variables)
            # It holds the group.
            del module
        return {}


def engines(names, rank, world, folder):
    """`{name: engine}`; `rank`, `world` and `folder` describe the group of processes."""
    found = {}
    for name in names:
        kind, _, count = name.partition(" on ")
        if BACKEND == "jax":
            found[name] = Sharded(int(count), kind == "ModelParallel")
        elif kind == "MirroredStrategy":
            import tensorflow as tf

            found[name] = Strategy(tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(int(count))]))
        else:
            found[name] = (Loop if kind == "DistributedDataParallel" else Processes)(rank, world, folder)
    return found


def prepare(names):
    """Simulates the devices, before the framework starts."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        count = max(int(name.split()[-1]) for name in names)
        devices = [tf.config.LogicalDeviceConfiguration()] * count
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
