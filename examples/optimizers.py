"""
Every optimizer on one problem
==============================

Twenty-five full-batch steps on one small network, always from the same initialization. ``Armijo``, ``LBFGS`` and
``NewtonCG`` evaluate the loss again to choose their own step size, which costs additional gradients or Hessian-vector
products per step. The others use a given learning rate. Dashed: optimizers that are bound to the model.
"""

import keras
import matplotlib.pyplot as plt

from keras_lecture import data, initializers, losses, optimizers

images, labels = data.load("digits")
images, labels = images[labels < 4].reshape(-1, 64), labels[labels < 4]

# %%
# The learning rates are plausible but not tuned: the example shows how to use each optimizer and does not rank them.

RULES = {
    "SGD": optimizers.SGD(0.5),
    "Momentum": optimizers.Momentum(0.1, momentum=0.9),
    "Nesterov": optimizers.Nesterov(0.1, momentum=0.9),
    "AdaGrad": optimizers.AdaGrad(0.05),
    "RMSProp": optimizers.RMSProp(0.01),
    "Adam": optimizers.Adam(0.02),
    "Lookahead": optimizers.Lookahead(optimizers.Adam(0.02), period=5),
    "StochasticWeightAverage": optimizers.StochasticWeightAverage(optimizers.Adam(0.02), start=20),
    "Armijo": optimizers.Armijo(),
    "LBFGS": optimizers.LBFGS(iterations=1),
    "NewtonCG": optimizers.NewtonCG(),
}

# %%
# ``bind`` gives an optimizer access to the model. Everything else is ``compile`` and ``fit``.


def train(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(4)])
    initializers.initialize(model, initializers.Xavier(seed=0))
    optimizer = optimizer.bind(model) if hasattr(optimizer, "bind") else optimizer
    model.compile(optimizer, losses.SoftmaxCrossEntropy())
    curve = model.fit(images, labels, batch_size=len(images), epochs=25, verbose=0).history["loss"]
    scores = keras.ops.stop_gradient(model(images))
    return [*curve, float(losses.SoftmaxCrossEntropy()(labels, scores))]


figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for name, optimizer in RULES.items():
    curve = train(optimizer)
    axes.plot(curve, "--" if hasattr(optimizer, "bind") else "-", label=name)
    print(f"{name:24} loss {curve[0]:.3f} → {curve[-1]:.1e}")
axes.set(yscale="log", xlabel="step", ylabel="loss")
axes.legend(ncols=2, frameon=False)
plt.show()
