"""How the variables of readings come through a train step that is a function of the model's state, as on JAX.

Keras's JAX trainer takes four lists of variables through a step. Ours travel among the non-trainable ones as the states
of seed generators do, which Keras neither saves with the weights nor shows in `model.metrics`; in the user's own
`train_step` they are out of sight.
"""

import contextlib

from keras_lecture import _backend


class _Carried:
    """A stand-in for a seed generator: Keras asks for its `state` alone."""

    def __init__(self, variable):
        self.state = variable


def carry(model, variables):
    """From now on these, and no others, are carried by the train step of `model`."""
    if _backend.PURE_TRAIN_STEP:
        # A private name of Keras 3.15; saving passes over this list.
        model._seed_generators[:] = [*_own(model), *map(_Carried, variables)]


@contextlib.contextmanager
def hidden(model):
    """For the length of the block the model does not know the variables that it carries."""
    everything = list(model._seed_generators)
    model._seed_generators[:] = _own(model)
    try:
        yield
    finally:
        model._seed_generators[:] = everything


def taken_out(model, variables, values):
    """The values of the model's own non-trainable variables, those of `variables`, and what joins them again."""
    places = {id(variable): place for place, variable in enumerate(model.non_trainable_variables)}
    ours = [places[id(variable)] for variable in variables]
    own = [place for place in range(len(values)) if place not in set(ours)]

    def put_back(visible, carried):
        joined = dict(zip([*own, *ours], [*visible, *carried], strict=True))
        return [joined[place] for place in range(len(values))]

    return [values[place] for place in own], [values[place] for place in ours], put_back


def _own(model):
    return [generator for generator in model._seed_generators if not isinstance(generator, _Carried)]
