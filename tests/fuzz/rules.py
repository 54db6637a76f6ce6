"""Optimizers with random arguments on random weights for a few steps against the formulas in float64 NumPy."""

import keras
import numpy as np
from oracles import optimizers as oracles
from support.harness import numpy

from keras_lecture import optimizers


def case(draw):
    shapes = [tuple(int(n) for n in draw.integers(1, 5, draw.integers(0, 4))) for _ in range(draw.integers(1, 4))]
    weights = [draw.normal(size=shape).astype("float32") for shape in shapes]
    steps, rate = int(draw.integers(1, 12)), float(10.0 ** draw.uniform(-4, -0.5))
    slopes = [[draw.normal(size=shape).astype("float32") for shape in shapes] for _ in range(steps)]
    epsilon, betas = float(10.0 ** draw.uniform(-8, -2)), draw.uniform(0, 0.999, 2)
    adam = {"beta_1": float(betas[0]), "beta_2": float(betas[1]), "epsilon": epsilon}
    rules = {
        "SGD": ({}, {}),
        "Momentum": ({"momentum": float(betas[0])}, {"rho": float(betas[0])}),
        "AdaGrad": ({"epsilon": epsilon}, {"epsilon": epsilon}),
        "RMSProp": ({"rho": float(betas[0]), "epsilon": epsilon}, {"gamma": float(betas[0]), "epsilon": epsilon}),
        "Adam": (adam, adam),
        "RectifiedAdam": (adam, adam),
    }
    name = str(draw.choice(list(rules)))
    options, settings = rules[name]
    shared = {}
    if draw.random() < 0.3:
        shared["weight_decay"] = float(draw.uniform(0, 0.1))
    if draw.random() < 0.3:
        shared["global_clipnorm"] = float(draw.uniform(0.1, 3))
    description = f"{name}({rate}, {options}, {shared}) on {shapes}, {steps} steps"
    return description, lambda: check(name, rate, options | shared, settings, weights, slopes)


def check(name, rate, options, settings, weights, slopes):
    variables = [keras.Variable(w, name=f"weight_{i}") for i, w in enumerate(weights)]
    rule = getattr(optimizers, name)(rate, penalize=lambda variable: True, **options)
    for gradients in slopes:
        rule.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    expected = oracles.train(
        name,
        [w.astype("float64") for w in weights],
        lambda w, k: [g.astype("float64") for g in slopes[k]],
        len(slopes),
        rate,
        decay=options.get("weight_decay", 0.0),
        norm=options.get("global_clipnorm"),
        **settings,
    )
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(numpy(variable), value, rtol=2e-4, atol=2e-5 * (1 + rate * len(slopes)))
