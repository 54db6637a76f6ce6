"""The loss of a batch as a function: equal for equal weights, whatever is evaluated before."""

import keras
import numpy as np
from keras import layers, ops
from support.harness import numpy

from keras_lecture._core.objective import Objective, loss_on


def test_an_evaluation_with_a_mask_and_sample_weights_leaves_the_batch():
    """On PyTorch Keras multiplied the weights of the batch by the mask, so that each evaluation gave a larger loss.

    Line searches compared losses of different weights: on Keras 3.16 Armijo refused every step. Oracle: the mean over
    the unmasked steps in NumPy, 1e-6.
    """
    keras.utils.set_random_seed(0)
    model = keras.Sequential([layers.Embedding(4, 2, mask_zero=True), layers.Dense(1)])
    model.compile("sgd", "mse")
    tokens, targets = np.array([[1, 2, 0], [3, 0, 0]]), np.random.default_rng(0).normal(size=(2, 3, 1))
    weights = np.array([[0.5, 2.0, 1.0], [3.0, 1.0, 1.0]], "float32")
    model.build(tokens.shape)
    batch = [ops.convert_to_tensor(array) for array in (tokens, targets.astype("float32"), weights.copy())]
    objective = Objective(loss_on(model, tuple(batch), []), "float32")
    start = [ops.convert_to_tensor(v) for v in model.trainable_variables]
    losses = [
        float(objective.value(start)),
        float(objective.value_and_gradients(start)[0]),
        float(objective.value(start)),
    ]
    squares = weights * (numpy(model(tokens)) - targets)[..., 0] ** 2
    np.testing.assert_allclose(losses, squares[tokens > 0].sum() / 3, rtol=1e-6)
    np.testing.assert_array_equal(numpy(batch[2]), weights)


def test_curvature_in_half_precision_does_not_overflow_with_the_length_of_a_vector():
    """`NewtonCG` stood still in `mixed_float16`: 2¹⁵, the loss scale, times a product is beyond 65,504 from 2 on.

    Oracle: the loss mean((a·w)²) has the Hessian 2a²/n, to 1 % in float16; the vector is 300 long.
    """
    a, vector = np.array([0.5, 1.0, 2.0]), np.array([100.0, -200.0, 200.0], "float32")

    def loss(weights, y_pred=None):
        z = ops.cast(weights[0], "float16") * ops.convert_to_tensor(a.astype("float16"))
        return ops.cast(ops.mean(ops.square(z)), "float32"), (z,)

    weights = [ops.convert_to_tensor(np.array([0.3, -0.2, 0.1], "float32"))]
    objective = Objective(loss, "float32", ops.convert_to_tensor(np.float32(2**15)))
    (product,) = objective.curvature(weights, [ops.convert_to_tensor(vector)])
    np.testing.assert_allclose(numpy(product), 2 * a**2 / 3 * vector, rtol=1e-2)
    (still,) = objective.curvature(weights, [ops.convert_to_tensor(0 * vector)])
    np.testing.assert_array_equal(numpy(still), 0.0)
