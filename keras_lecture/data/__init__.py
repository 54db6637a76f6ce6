"""Data: splitting, loading, and batches in reproducible orders."""

from keras_lecture.data.balanced_batches import BalancedBatches
from keras_lecture.data.batches import Batches
from keras_lecture.data.curriculum import Curriculum
from keras_lecture.data.cyclic_batches import CyclicBatches
from keras_lecture.data.load import load
from keras_lecture.data.split import split, split_indices

__all__ = ["BalancedBatches", "Batches", "Curriculum", "CyclicBatches", "load", "split", "split_indices"]
