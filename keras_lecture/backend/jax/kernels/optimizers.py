"""Optimizer steps on JAX: what keeps XLA from compiling many small variables into one another."""

import jax


def adds_in_place():
    # XLA adds as it takes a movement's part out of the flat one; weights would have to be laid end to end first.
    return True


def apart(function, count, *operands):
    if not isinstance(count, jax.core.Tracer):
        return None

    # XLA would compute what is laid end to end again for each tensor that comes out, and compile for minutes: a loop of
    # one round, as only the run can know, keeps them apart.
    def once(_, carry):
        return tuple(function(operands[0], *carry[1:]))

    return jax.lax.fori_loop(0, jax.numpy.minimum(count, 1), once, operands)
