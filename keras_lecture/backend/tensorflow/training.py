"""The train step on TensorFlow."""

from keras_lecture.backend.state import assign, variables


def train_step(model, step):
    def run(data):
        groups = variables(model)
        logs, state = step(tuple([v.value for v in group] for group in groups), data)
        assign(groups, state)
        return logs

    return run
