"""Order of the examples, and the reset of Keras's global state before each."""

import keras

ORDER = (
    "doctor.py",
    "optimizers.py",
    "signals.py",
    "gradient_check.py",
    "clipping.py",
    "population_batch_norm.py",
    "color_photographs.py",
    "segmentation.py",
    "fine_tuning.py",
    "physics.py",
)


def place(file):
    """The pages of the guide are ordered by their numbers, the examples of the gallery by `ORDER`."""
    return int(file[:2]) if file[:2].isdigit() else ORDER.index(file)


def fresh(gallery, file):
    """Resets Keras to its defaults, as at the start of a script."""
    keras.utils.clear_session()
    keras.distribution.set_distribution(None)
