"""
Choosing an optimizer
=====================

You will learn which optimizer to try first, what was measured for it and what was not, and how to compare two of them
on your own problem so that the answer is more than luck. (4 minutes)

.. list-table::
   :header-rows: 1
   :widths: 30 30 40

   * - your situation
     - try
     - evidence
   * - mini-batches, no opinion
     - ``Adam(0.003)``
     - :doc:`On two digit classifiers </benchmarks/armijo>` every rate from 0.001 to 0.01 was within 1.2 points of the
       best.
   * - no time to tune a learning rate
     - ``Armijo(direction="adam")``
     - Untuned, within 0.3 points of the best of seven rates for Adam :doc:`on the same two </benchmarks/armijo>`. A
       step takes :doc:`1.1 to 1.9 times </benchmarks/closures>` as long as Adam's.
   * - labels with many errors
     - ``Adam``, small rate, not ``Armijo``
     - With 20 % random labels: Adam 95.3 %, the line search :doc:`90.9 % </benchmarks/armijo>`.
   * - loss without noise: full batch, physics, regression
     - ``LBFGS``
     - A smaller residual than Adam with as many gradients: :doc:`the next page <04_no_learning_rate>` and
       :doc:`an example </gallery/physics>`.
   * - a few thousand weights, full batch
     - ``NewtonCG``, ``Newton``
     - The last digits of a fit: :doc:`every optimizer on one problem </gallery/optimizers>`. Others are not measured.
   * - images, many epochs, a schedule
     - ``Nesterov``, ``WarmRestarts``
     - The lectures' advice. :doc:`The first classifier <02_first_classifier>` uses it; no comparison was measured.
   * - sparse features
     - ``AdaGrad``
     - The lectures' advice; not measured here.
   * - a little more accuracy at the end
     - ``StochasticWeightAverage``, ``Lookahead``
     - Their papers; not measured here.

How fast a step is, by optimizer and backend, is in :doc:`the benchmarks </benchmarks/optimizers>`.
"""

import time

import keras
import numpy as np

from keras_lecture import data, losses, optimizers

# %%
# Compare on your own problem
# ---------------------------
# Two runs that differ only in the seed differ in accuracy, too. So train every candidate with several seeds, and
# compare means with their standard deviations. The seed decides the split, the first weights and the batches.

CANDIDATES = {
    "Adam(0.003)": lambda: optimizers.Adam(0.003),
    'Armijo(direction="adam")': lambda: optimizers.Armijo(direction="adam"),
}
SEEDS, EPOCHS = 3, 6
images, labels = data.load("digits")


def accuracy(optimizer, seed):
    keras.utils.set_random_seed(seed)
    train, (x, y) = data.split(images, labels, (0.8, 0.2), seed=seed)
    layers = [keras.layers.Flatten(), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    bound = optimizer.bind(model) if hasattr(optimizer, "bind") else optimizer
    model.compile(bound, losses.SoftmaxCrossEntropy())
    model.fit(*train, batch_size=64, epochs=EPOCHS, verbose=0)
    return np.mean(np.argmax(keras.ops.convert_to_numpy(model(x)), axis=-1) == y)


for name, make in CANDIDATES.items():
    start = time.perf_counter()
    found = [100 * accuracy(make(), seed) for seed in range(SEEDS)]
    seconds = (time.perf_counter() - start) / SEEDS
    print(f"{name:26} {np.mean(found):.1f} ± {np.std(found, ddof=1):.1f} %   {seconds:.1f} s a run")

# %%
# A difference smaller than the standard deviations is no difference: three seeds cannot show it. Choose among
# candidates on a validation set, as here, and leave the test set alone until the end. The seconds include compilation.
#
# Where to go next: :doc:`training without a learning rate <04_no_learning_rate>`.
