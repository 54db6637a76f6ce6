"""One pass over training data: every kind of source, moments without cancellation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from support.harness import numpy

from keras_lecture.layers import PCAColor, ZeroCenter
from keras_lecture.layers.normalization._one_pass import Moments, outer, squares

DATA = np.random.default_rng(0).uniform(size=(50, 4, 5, 3)).astype("float32")
LABELS = np.arange(50)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return DATA[16 * i : 16 * (i + 1)], LABELS[16 * i : 16 * (i + 1)]


def generator():
    yield from (DATA[:1], DATA[1:30], DATA[30:])


SOURCES = {
    "array": lambda: DATA,
    "array with labels": lambda: (DATA, LABELS),
    "backend tensor": lambda: keras.ops.convert_to_tensor(DATA),
    "list of batches": lambda: list(generator()),
    "generator": generator,
    "PyDataset": lambda: Batches(),
    "tf.data": lambda: tf.data.Dataset.from_tensor_slices((DATA, LABELS)).batch(16),
    "DataLoader": lambda: torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.tensor(DATA), torch.tensor(LABELS)), batch_size=16
    ),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_moments_of_its_data(source):
    """Oracle: NumPy on the whole array in float64; batches are of unequal sizes."""
    layer, color = ZeroCenter(unit_variance=True), PCAColor(value_range=(0, 1))
    layer.adapt(SOURCES[source]())
    color.adapt(SOURCES[source]())
    exact = DATA.reshape(-1, 3).astype("float64")
    np.testing.assert_allclose(numpy(layer.mean), exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(numpy(layer.deviation), exact.std(0), rtol=1e-6)
    vectors, values = numpy(color.eigenvectors), numpy(color.eigenvalues)
    np.testing.assert_allclose((vectors * values) @ vectors.T, np.cov(exact.T, bias=True), rtol=1e-5, atol=1e-8)


def test_bytes_are_summed_without_overflow():
    layer = ZeroCenter("pixel", unit_variance=True)
    data = np.random.default_rng(1).integers(0, 256, (300, 4, 5, 3)).astype("uint8")
    layer.adapt(data)
    np.testing.assert_allclose(numpy(layer.mean), data.mean(0), rtol=1e-6)
    np.testing.assert_allclose(numpy(layer.deviation), data.std(0), rtol=1e-6)


@pytest.mark.parametrize("products", [squares, outer])
def test_moments_do_not_cancel(products):
    """Oracle: two passes. Mean 10⁸ and variance 1: Σx² − (Σx)²/n would leave no digit of the variance."""
    rows = np.random.default_rng(2).normal(size=(10_000, 3)) + 1e8
    found = Moments(products)
    for start in range(0, len(rows), 7):
        found.update(rows[start : start + 7])
    expected = np.cov(rows.T, bias=True)
    expected = expected if products is outer else np.diag(expected)
    np.testing.assert_allclose(found.scatter / found.count, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.mean, rows.mean(0), rtol=1e-14)
    assert (found.low, found.high) == (rows.min(), rows.max())


def test_large_batches_are_split():
    """3 × 2²⁰ values, 2²⁰ at a time, give the moments of all."""
    rows = np.random.default_rng(3).normal(size=(2**20, 3)).astype("float32")
    found = Moments(squares)
    found.update(rows)
    assert found.count == len(rows)
    np.testing.assert_allclose(found.scatter / found.count, rows.astype("float64").var(0), rtol=1e-10)


def test_data_are_read_once_and_adapting_again_starts_over():
    read = []

    def counted():
        for batch in generator():
            read.append(len(batch))
            yield batch

    layer = ZeroCenter()
    layer.adapt(10 + DATA)
    layer.adapt(counted())
    assert read == [1, 29, 20]
    np.testing.assert_allclose(numpy(layer.mean), DATA.mean((0, 1, 2)), rtol=1e-5)


def test_progress_is_shown_on_request(capsys):
    ZeroCenter().adapt(DATA, verbose=1)
    assert "1/1" in capsys.readouterr().out
    ZeroCenter().adapt(DATA)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("data", "expectation"),
    [([], "at least one batch"), (DATA * np.nan, "finite"), ([DATA, DATA[:, :3]], "batches like the first")],
)
def test_rejects_data(data, expectation):
    with pytest.raises(ValueError, match=f"ZeroCenter: `data` must be .*{expectation}"):
        ZeroCenter("pixel").adapt(data)


def test_rejects_a_verbosity_other_than_0_and_1():
    with pytest.raises(ValueError, match="ZeroCenter: `verbose`"):
        ZeroCenter().adapt(DATA, verbose=2)


def test_masked_values_are_refused():
    """The mean of a masked array silently contained the −9999 behind the mask."""
    data = np.ma.masked_equal([[1.0, -9999.0], [2.0, 3.0]], -9999.0)
    with pytest.raises(ValueError, match="ZeroCenter: `data` must be free of masked values"):
        ZeroCenter().adapt(data)
    layer = ZeroCenter()
    layer.adapt(data[1:])
    assert numpy(layer.mean).tolist() == [2.0, 3.0]
