"""The experiments behind the figures: each runs the library itself and returns plain data."""

__all__ = []
