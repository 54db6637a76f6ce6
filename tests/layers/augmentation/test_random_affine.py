"""RandomAffine: against SciPy's affine transform and NumPy's quarter turns and rolls."""

import numpy as np
import pytest
from keras import ops
from oracles import augmentation as oracles
from support.harness import assert_close, numpy

from keras_lecture.layers import RandomAffine

IMAGES = np.random.default_rng(0).uniform(size=(6, 9, 8, 3)).astype("float32")


@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "reflect", "wrap"])
def test_matches_scipy(fill_mode):
    """Oracle: `scipy.ndimage.affine_transform` in float64 with the draws of the stream; 1e-5 (float32 positions)."""
    layer = RandomAffine(40.0, shift=0.3, stretch=0.4, fill_mode=fill_mode, fill_value=0.25, seed=3)
    draws = 2 * oracles.uniform(3, 0, (6, 5)) - 1
    expected = [
        oracles.affine(
            image,
            np.deg2rad(40.0) * turn,
            shift=0.3 * np.array([9 * down, 8 * right]),
            factors=1 + 0.4 * np.array([tall, wide]),
            fill_mode=fill_mode,
            fill_value=0.25,
        )
        for image, (turn, down, right, tall, wide) in zip(IMAGES, draws, strict=True)
    ]
    assert_close(layer(IMAGES, training=True), np.stack(expected), rtol=1e-5, atol=1e-5)


def changed(image, layer, draws):
    images = ops.convert_to_tensor(image[None])
    return numpy(layer.placed(images, ops.convert_to_tensor([draws], "float32")))[0]


def test_positive_angles_rotate_counterclockwise_and_positive_shifts_go_down_and_right():
    """Oracle: `np.rot90` for the full angle of 90° and `np.roll` for shifts by whole pixels."""
    square = IMAGES[0, :8]
    assert_close(changed(square, RandomAffine(90.0), [1, 0, 0, 0, 0]), np.rot90(square), atol=1e-5)
    roll = RandomAffine(0.0, shift=0.25, fill_mode="wrap")
    assert_close(changed(square, roll, [0, 1, -0.5, 0, 0]), np.roll(square, (2, -1), (0, 1)), atol=1e-6)


def test_a_positive_stretch_enlarges():
    """A bright band of 3 rows, stretched to twice the height, has 6 bright rows."""
    image = np.zeros((9, 8, 1), "float32")
    image[3:6] = 1
    column = changed(image, RandomAffine(0.0, shift=0.0, stretch=0.999), [0, 0, 0, 1, 0])[:, 4, 0]
    np.testing.assert_allclose(column.sum(), 6, rtol=1e-2)


def test_with_all_three_zero_it_changes_nothing():
    layer = RandomAffine(0.0, shift=0.0, stretch=0.0)
    np.testing.assert_array_equal(numpy(layer(IMAGES, training=True)), IMAGES)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"rotation": -1.0}, "rotation"),
        ({"shift": 1.5}, "shift"),
        ({"stretch": 1.0}, "stretch"),
        ({"fill_mode": "mirror"}, "fill_mode"),
        ({"fill_value": "black"}, "fill_value"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"RandomAffine: `{argument}`"):
        RandomAffine(**arguments)
