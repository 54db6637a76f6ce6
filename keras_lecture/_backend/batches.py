"""The batches of one call of a train function."""

import itertools


def taken(data, size):
    """The next `size` batches of an iterator, or those of a list, which PyTorch's train function gets."""
    return data if isinstance(data, list) else list(itertools.islice(data, size))
