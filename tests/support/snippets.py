"""Runs short code of cures and pages, with a small model and data under the names that such code expects."""

import ast
import math
from typing import Any

import keras
import numpy as np

import keras_lecture


def names(is_regression: bool = False) -> dict[str, Any]:
    """The names that a reader has at hand: the model, its data, one of its layers, symbolic tensors, the modules."""
    generator = np.random.default_rng(0)
    x, x_val = (generator.normal(size=(rows, 6)).astype("float32") for rows in (64, 32))
    y, y_val = np.argmax(x[:, :3], axis=1), np.argmax(x_val[:, :3], axis=1)
    if is_regression:
        y, y_val = x[:, :1], x_val[:, :1]
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")
    last = keras.layers.Dense(1) if is_regression else keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((6,)), hidden, last])
    loss = "mse" if is_regression else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=[] if is_regression else ["accuracy"])
    inputs = keras.Input((6,))
    return {
        **{"keras": keras, "np": np, "math": math, "keras_lecture": keras_lecture},
        **{"model": model, "x": x, "y": y, "x_val": x_val, "y_val": y_val, "layer": hidden},
        # In `train_step`.
        **{"self": model, "gradients": [keras.ops.zeros(w.shape) for w in model.trainable_variables]},
        **{"inputs": inputs, "hidden": keras.layers.Dense(8)(inputs), "images": keras.Input((8, 8, 1))},
    }


def run(code: str, known: dict[str, Any]) -> Any:
    """Executes the code; its last expression, and the classes that it defines, are used, too."""
    tree, before = ast.parse(code), dict(known)
    value = None
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<code>", "exec"), known)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "<code>", "eval"), known)
    use(value, known)
    for name, unit in known.items():
        if isinstance(unit, type) and before.get(name) is not unit:
            use_class(unit, known)
    if "model.compile" in code:
        is_one_hot = "categorical" in code and "sparse" not in code
        y = keras.utils.to_categorical(known["y"], 3) if is_one_hot else known["y"]
        assert np.isfinite(known["model"].train_on_batch(known["x"], y)).all()
    return value


def use(value: Any, known: dict[str, Any]) -> None:
    """Applies a layer to an input that it can take, and a callback to a `fit`."""
    if isinstance(value, keras.callbacks.Callback):
        fit(known["model"], known, validation_data=(known["x_val"], known["y_val"]), callbacks=[value])
    elif isinstance(value, keras.layers.Layer) and not value.built:
        rank = {"Embedding": 0, "Conv1D": 1, "Conv2D": 2, "Conv3D": 3}.get(type(value).__name__)
        shape = (6,) if rank is None else (8,) * rank + (2,) if rank else (4,)
        value(keras.Input(shape, dtype="int32" if rank == 0 else "float32"))


def use_class(unit: type, known: dict[str, Any]) -> None:
    """Calls a layer in both modes, and trains a model, with an optimizer or from a data set."""
    x, y = known["x"], known["y"]
    if issubclass(unit, keras.utils.PyDataset):
        rows = [np.asarray(batch[0]) for batch in map(unit().__getitem__, range(len(unit())))]
        np.testing.assert_array_equal(np.concatenate(rows), x)
    elif issubclass(unit, keras.optimizers.Optimizer):
        optimizer = unit(0.1)
        known["model"].compile(optimizer, known["model"].loss)
        fit(known["model"], known)
        assert int(optimizer.iterations) == 2
    elif issubclass(unit, keras.Model):
        functional = "call" not in vars(unit)
        model = unit(known["model"].inputs[0], known["model"].outputs[0]) if functional else unit()
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=not functional))
        model.fit(x, y, sample_weight=np.ones(len(x)), verbose=0)
    elif not issubclass(unit, keras.layers.Wrapper):
        layer = unit()
        assert all(layer(x, training=training).shape == x.shape for training in (True, False))


def fit(model: keras.Model, known: dict[str, Any], **options: Any) -> None:
    """One epoch of two batches."""
    model.fit(known["x"], known["y"], batch_size=32, verbose=0, **options)
