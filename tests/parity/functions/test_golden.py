"""A model saved on one backend loads on every other without `custom_objects`, and computes the same."""

import json
from pathlib import Path

import keras
import numpy as np

import keras_lecture  # noqa: F401, the import registers every class

HERE = Path(__file__).resolve().parent
EXPECTED = json.loads((HERE / "expected.json").read_text())


def test_loads_on_every_backend_and_computes_the_same():
    """Predictions and loss, including penalties, agree to 1e-5 with the backend that wrote the file."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(16, 6)).astype("float32"), rng.integers(0, 3, size=16)
    model = keras.models.load_model(HERE / "model.keras")
    np.testing.assert_allclose(model.predict(x, verbose=0), EXPECTED["predictions"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), EXPECTED["loss"], rtol=1e-5)
    assert len(model.losses) == 7
    # Training continues, with the constraint in effect.
    model.fit(x, y, epochs=2, verbose=0)
    norms = [np.linalg.norm(layer.get_weights()[0], axis=0).max() for layer in model.layers if layer.weights]
    assert max(norms[:-1]) <= 2.0 + 1e-6
