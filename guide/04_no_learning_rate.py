"""
No learning rate: line search and L-BFGS
========================================

You will learn how to train without choosing a learning rate under plain ``fit``: ``Armijo`` for mini-batches, ``LBFGS``
for a loss without noise, and what both cost. (3 minutes)
"""

import keras
import matplotlib.pyplot as plt

from keras_lecture import callbacks, data, layers, losses, optimizers

# %%
# Bind the optimizer to the model
# -------------------------------
# A line search evaluates the loss again to see whether a step was too long, but Keras gives an optimizer only
# gradients. ``bind(model)`` gives it the model. Without it, ``fit`` raises an error that shows the line to write:

images, labels = data.load("digits")
train, test = data.split(images.reshape(-1, 64), labels, (0.8, 0.2), seed=0)


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)])


model = network()
model.compile(optimizers.Armijo(direction="adam"), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
try:
    model.fit(*train, verbose=0)
except ValueError as error:
    print(error)

# %%
# Mini-batches: Armijo
# --------------------
# It tries a step along Adam's direction and halves it until the loss of the batch has fallen enough. The logs hold the
# last ``step_size`` and the ``evaluations`` of the loss in the step.

model.compile(optimizers.Armijo(direction="adam").bind(model), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
history = model.fit(*train, batch_size=64, epochs=8, verbose=0).history
print("step sizes ", [f"{size:.1e}" for size in history["step_size"]])
print("evaluations", [int(count) for count in history["evaluations"]])
print(f"test accuracy {model.evaluate(*test, batch_size=len(test[0]), verbose=0)[1]:.2%}")

# %%
# Full batch: L-BFGS
# ------------------
# L-BFGS learns the curvature from its last gradients. That needs a loss without noise: all data in one batch and no
# dropout. Then it reaches the minimum itself. The example is a logistic regression with an L2 penalty, whose minimum is
# unique, against Adam with as many gradients.

x, y = data.load("breast_cancer")
scale = layers.ZeroCenter(unit_variance=True)
scale.adapt(x)
x = keras.ops.convert_to_numpy(scale(x))


def regression(optimizer, epochs):
    penalty = keras.regularizers.L2(1e-3)
    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(1, kernel_regularizer=penalty)])
    model.layers[0].kernel.assign(keras.ops.zeros((30, 1)))
    model.compile(optimizer.bind(model) if hasattr(optimizer, "bind") else optimizer, losses.BinaryCrossEntropy())
    watch = callbacks.GradientMonitor()
    return model.fit(x, y, batch_size=len(x), epochs=epochs, callbacks=[watch], verbose=0).history


lbfgs = regression(optimizers.LBFGS(iterations=5), epochs=10)
used = [sum(lbfgs["evaluations"][: step + 1]) for step in range(10)]
adam = regression(optimizers.Adam(0.05), epochs=int(used[-1]))
print(f"gradient norm after {used[-1]:.0f} gradients: L-BFGS {lbfgs['gradient_norm'][-1]:.1e}", end=", ")
print(f"Adam {adam['gradient_norm'][-1]:.1e}")

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(range(1, len(adam["loss"]) + 1), adam["gradient_norm"], label="Adam(0.05)")
axes.plot([1, *used[:-1]], lbfgs["gradient_norm"], "o--", label="LBFGS")
axes.set(yscale="log", xlabel="gradients computed", ylabel="gradient norm (0 at the minimum)")
axes.legend(frameon=False)
plt.show()

# %%
# What it costs
# -------------
# A step of ``Armijo`` evaluates the loss twice in most cases and takes :doc:`up to 2.3 times </benchmarks/closures>` as
# long as one of SGD. ``LBFGS`` keeps 2 · ``memory`` vectors of all weights. On mini-batches its pairs of steps and
# gradients carry the noise of the batch: use ``Armijo`` there. Both replace the train step of the model, so a
# ``train_step`` of your own is refused.
#
# Where to go next: :doc:`seeing gradients <05_seeing_gradients>`. A differential equation solved in this way is
# :doc:`in the gallery </gallery/physics>`.
