"""The train step on JAX."""


def train_step(model, step):
    def run(state, data):
        return step(state, data)

    return run
