"""The reason why a treatment is refused."""


class Refused(Exception):
    """A treatment that cannot be done right here; its text says why."""
