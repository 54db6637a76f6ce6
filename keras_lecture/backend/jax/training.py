"""The train step on JAX."""


def train_step(model, step):
    def run(state, data):
        return step(state, data)

    return run


def repeatable(f):
    return f  # Randomness on JAX is an argument: the seeds of the model's layers.


def generators():
    return []


def set_generators(states):
    pass


def build(model, batches):
    pass  # Keras's `fit` has done it.


def shuffles_alike():
    return True  # From NumPy's global generator, whose state can be put back.
