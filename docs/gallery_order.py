"""Order of the gallery's examples, and the reset of Keras's global state before each."""

import keras

ORDER = (
    "digits.py",
    "doctor.py",
    "optimizers.py",
    "signals.py",
    "gradient_check.py",
    "clipping.py",
    "early_stopping.py",
    "population_batch_norm.py",
    "color_photographs.py",
    "segmentation.py",
    "fine_tuning.py",
    "physics.py",
    "own_rule.py",
    "data_parallel.py",
)


def place(file):
    return ORDER.index(file)


def fresh(gallery, file):
    """Resets Keras to its defaults, as at the start of a script."""
    keras.utils.clear_session()
    keras.distribution.set_distribution(None)
