"""The train step on PyTorch."""

import torch

from keras_lecture.backend.state import assign, variables


def train_step(model, step):
    def run(data):
        # Gradients are taken inside `step` by `value_and_grad`; nothing else needs a graph.
        with torch.no_grad():
            groups = variables(model)
            logs, state = step(tuple([v.value for v in group] for group in groups), data)
            assign(groups, state)
        return logs

    return run
