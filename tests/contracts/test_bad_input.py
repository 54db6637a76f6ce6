"""Constructors with nonsense arguments raise our ValueError or TypeError, or keep the value."""

import inspect
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.constructions import ARGUMENTS
from support.public import public_classes

AREAS = ("callbacks.", "losses.", "initializers.", "regularizers.", "constraints.")
AREAS += ("optimizers.Armijo", "optimizers.LBFGS", "optimizers.Newton")
# Arguments that Keras's base classes check or round themselves.
KERAS_OWN = {"name", "dtype", "seed", "learning_rate"}
# Samples for the doctor: what does not fit the model is said in `fit`.
DATA = {"x", "y"}
NUMBERS = [-1, 0, -0.5, 2.5, math.nan, math.inf, -math.inf]
NONSENSE = [*NUMBERS, "unknown", "", [], {}, (), object(), True, b"fan_in", [-1.5]]


def own_arguments():
    for name, cls in sorted(public_classes().items()):
        if name.startswith(AREAS):
            for argument in inspect.signature(cls.__init__).parameters.values():
                named = argument.kind in (argument.KEYWORD_ONLY, argument.POSITIONAL_OR_KEYWORD)
                if named and argument.name not in {"self", *KERAS_OWN, *DATA}:
                    yield pytest.param(cls, name, argument.name, id=f"{name}-{argument.name}")


@pytest.mark.parametrize(("cls", "name", "argument"), list(own_arguments()))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.one_of(st.sampled_from(NONSENSE), st.integers(), st.floats(), st.text(max_size=3)))
def test_nonsense_raises_an_error_with_the_argument_or_is_kept(cls, name, argument, value):
    try:
        unit = cls(**{**ARGUMENTS.get(name, {}), argument: value})
    except (ValueError, TypeError) as error:
        assert str(error).startswith(f"{cls.__name__}: `{argument}` must be "), str(error)
        assert "Received: " in str(error)
    else:
        # An accepted value is a finite number, a known word or axes, and is returned by the config.
        assert not (isinstance(value, float) and not math.isfinite(value)), f"{argument}={value} was accepted"
        # The doctor may hold data, and so has no config.
        config = unit.get_config() if hasattr(unit, "get_config") else vars(unit)
        kept, number = config[argument], isinstance(value, int | float)
        forms = [value, [value], float(value) if number else None, list(value) if isinstance(value, tuple) else None]
        assert kept in forms
