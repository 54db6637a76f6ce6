"""One of two processes, each on its half of every batch: DistributedDataParallel averages the gradients.

python on_torch.py rank rendezvous_file
"""

import sys

import torch
from shared_task import RULES, SETTINGS, X, Y, answer, network, weights
from torch.nn.parallel import DistributedDataParallel

from keras_lecture import optimizers

RANK, RENDEZVOUS = int(sys.argv[1]), sys.argv[2]


def train(optimizer, module, model, rows):
    """A training loop as Keras's guide to PyTorch writes it."""
    if isinstance(optimizer, optimizers.Nesterov):
        optimizer.look_ahead(model.trainable_variables)
    optimizer.build(model.trainable_variables)
    for _ in range(4):
        for batch in (slice(0, 8), slice(8, 16)):
            if isinstance(optimizer, optimizers.Nesterov):
                optimizer.look_ahead()
            module.zero_grad()
            x, y = (torch.tensor(values[batch][rows]) for values in (X, Y))
            ((module(x) - y) ** 2).mean().backward()
            with torch.no_grad():
                optimizer.apply([v.value.grad for v in model.trainable_variables])
    return weights(model)


torch.distributed.init_process_group("gloo", init_method=f"file://{RENDEZVOUS}", rank=RANK, world_size=2)
half = slice(4 * RANK, 4 * RANK + 4)
results = {"replicas": torch.distributed.get_world_size()}
for rule in RULES:
    runs = []
    for shared in (False, True):
        model = network()
        # The gradients are views into the buckets that the processes exchange.
        module = DistributedDataParallel(model, gradient_as_bucket_view=True) if shared else model
        optimizer = getattr(optimizers, rule)(0.05, **SETTINGS)
        runs.append(train(optimizer, module, model, half if shared else slice(None)))
    results[rule] = runs
torch.distributed.destroy_process_group()
answer(results)
