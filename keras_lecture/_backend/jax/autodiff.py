"""Differentiation on JAX."""

from contextlib import nullcontext

import jax


def value_and_grad(f):
    return jax.value_and_grad(f, has_aux=True)


def hessian_vector_product(f):
    gradient = jax.grad(f, has_aux=True)

    def product(weights, vectors, *args):
        def gradient_at(w):
            return gradient(w, *args)[0]

        # Forward over reverse: one pass, about twice the cost of a gradient, no stored graph of the gradient.
        return jax.jvp(gradient_at, (list(weights),), (list(vectors),))[1]

    return product


def compile(f):
    return jax.jit(f)


def trace(f, *args):
    jax.eval_shape(f, *args)


def fuse(formula):
    return formula  # XLA fuses the compiled step as a whole.


def outside_of_traces():
    return nullcontext()  # A variable in a trace has a value of the trace.
