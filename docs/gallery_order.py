"""The gallery's examples in the order of a first reading, and what is put back before each."""

import keras

ORDER = (
    "digits.py",
    "optimizers.py",
    "signals.py",
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
    """Each example starts from Keras's defaults, as a script does."""
    keras.utils.clear_session()
    keras.distribution.set_distribution(None)
