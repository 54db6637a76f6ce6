"""One of two processes that train by plain `fit`, each on its half of every batch: Keras 3.16 averages the gradients.

python fit_on_torch.py rank rendezvous_file
"""

import sys

import keras
import numpy as np
import torch
from shared_task import X, Y, answer, network, weights

from keras_lecture import callbacks, optimizers

RANK, RENDEZVOUS = int(sys.argv[1]), sys.argv[2]
OPTIMIZERS = {
    "Keras's SGD": lambda model: keras.optimizers.SGD(0.05),
    "Nesterov": lambda model: optimizers.Nesterov(0.05).bind(model),
    "Adam": lambda model: optimizers.Adam(0.05),
    "Armijo": lambda model: optimizers.Armijo().bind(model),
    "Armijo, Adam's direction": lambda model: optimizers.Armijo(direction="adam").bind(model),
    "LBFGS": lambda model: optimizers.LBFGS(iterations=2, memory=2).bind(model),
    "NewtonCG": lambda model: optimizers.NewtonCG().bind(model),
}


def train(name, rows):
    """The weights and the logs of four epochs of two batches; this process sees `rows` of each."""
    optimizer = OPTIMIZERS[name]
    # A clipped gradient contradicts the loss in the line search of L-BFGS, whose end rounding would then decide.
    limit = 1e3 if name == "LBFGS" else 0.5
    model = network()
    model.compile(optimizer(model), "mse")
    x, y = (np.concatenate([values[0:8][rows], values[8:16][rows]]) for values in (X, Y))
    watching = [callbacks.GradientClipping(global_norm=limit, on_nonfinite="skip"), callbacks.GradientMonitor()]
    size = len(x) // 2
    history = model.fit(x, y, batch_size=size, epochs=4, shuffle=False, verbose=0, callbacks=watching).history
    return [*weights(model), history["gradient_norm"], history["clipped_share"]]


alone = {name: train(name, slice(None)) for name in OPTIMIZERS}
torch.distributed.init_process_group("gloo", init_method=f"file://{RENDEZVOUS}", rank=RANK, world_size=2)
half = slice(4 * RANK, 4 * RANK + 4)
together = {name: train(name, half) for name in OPTIMIZERS}
torch.distributed.destroy_process_group()
answer({name: [alone[name], together[name]] for name in OPTIMIZERS})
