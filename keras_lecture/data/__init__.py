"""Data: batches in orders that can be had again."""

from keras_lecture.data.batches import Batches

__all__ = ["Batches"]
