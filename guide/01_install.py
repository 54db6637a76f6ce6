"""
Install and choose a backend
============================

You will learn how to install the package, how to choose TensorFlow, PyTorch or JAX, and that a saved model moves
between them. (2 minutes)

The package needs Python 3.11 or newer and, beside the framework that you use, Keras and NumPy. From a clone of the
repository:

.. code-block:: bash

    pip install .               # Keras and NumPy only; a framework is yours to install
    pip install '.[jax]'        # or [tensorflow] or [torch]
    pip install '.[examples]'   # scikit-learn, whose data sets are bundled, and matplotlib: for these pages

Without a GPU, install the small wheel of the framework first: on Linux, ``pip`` else fetches PyTorch with gigabytes of
CUDA libraries.

.. code-block:: bash

    pip install torch --index-url https://download.pytorch.org/whl/cpu
    pip install tensorflow-cpu  # JAX's default is the CPU build

``make demo`` installs the CPU builds of all three frameworks into ``.venv`` and trains a first model.
"""

# %%
# Choose the backend
# ------------------
# The backend is Keras's. Set it before Keras is imported: in the shell (``KERAS_BACKEND=torch python script.py``), in
# ``~/.keras/keras.json``, or in the first lines of a script or notebook. Once Keras is imported it stays.

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "torch" or "tensorflow"

import tempfile

import keras
import numpy as np

import keras_lecture
from keras_lecture import data, losses, optimizers

print(f"keras_lecture {keras_lecture.__version__} on Keras {keras.__version__} with {keras.backend.backend()}")

# %%
# One formula, three backends
# ---------------------------
# Every formula is written once, so equal weights and batches give equal numbers on every backend, up to rounding. The
# loss of this batch is 1.2887 on all three. Random numbers (first weights, dropout masks) are the framework's own and
# differ.

scores = np.array([[2.0, 0.0, -1.0], [0.0, 1.0, 2.0]], "float32")
print(f"softmax cross-entropy {float(losses.SoftmaxCrossEntropy()(np.array([0, 0]), scores)):.4f}")

# %%
# A model moves between backends
# ------------------------------
# ``import keras_lecture`` registers the classes of the package with Keras. A file saved on one backend then loads on
# every other one, and ``custom_objects`` is not needed.

keras.utils.set_random_seed(0)
images, labels = data.load("digits")
model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
model.compile(optimizers.Adam(0.01), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
model.fit(images, labels, epochs=3, verbose=2)

with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/digits.keras")
    loaded = keras.models.load_model(f"{folder}/digits.keras")
same = np.allclose(model.predict(images, verbose=0), loaded.predict(images, verbose=0), atol=1e-5)
print("same predictions after loading:", same)

# %%
# Limits
# ------
# On Keras's NumPy backend the package imports and its layers run forward, but nothing trains. Speed was measured on
# CPUs only; it differs between backends, see :doc:`speed </speed>`.
#
# Where to go next: :doc:`your first classifier <02_first_classifier>`.
