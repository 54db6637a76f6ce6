"""Functions that Keras lacks, implemented for each framework with one signature.

`value_and_grad(f)`          for `f(weights, *args) → (loss, aux)`: `(weights, *args) → ((loss, aux), gradients)`
`hessian_vector_product(f)`  for the same `f`: `(weights, vectors, *args) → H·vectors`
`compile(f)`                 compiles `f` by the framework's own compiler; nothing is differentiated through it
`trace(f, *args)`            calls `f` only as far as the shapes of its tensors require
`outside_of_traces()`        a context in which variables have their numbers, also while a function is traced
`train_step(model, step)`    turns a pure `step(state, batch) → (logs, state)` into a Keras `train_step` of this backend
`repeatable(f)`              `f` with the same random numbers in every call
`build_first(model, data)`   builds model and optimizer inside the first train step, if `fit` has not done so
`only_if(condition, act)`    calls `act()` if a tensor is true, in a train step that changes variables in place
`recover(model, *args)`      restores the model's values after an exception in a train function with these `args`
`mean_over_ranks(model)`     the function that averages tensors over the processes that train `model` together
`device_scope(model)`        the context in which variables for the train step of `model` are created
`global_batch(model, batch)` the batch, put together from the parts of the devices
`END_OF_DATA`                the exceptions by which a train function reports the end of the data
`PURE_TRAIN_STEP`            whether Keras's train step is a pure function of the model's state
`execution(data, size)`      the batches of one call of a train function, and what to pass it in place of `data`
`generators()`               the states of the framework's own global random generators, in a list
`set_generators(states)`     restores them
`double_precision()`         a context manager in which Keras and the framework compute in float64
`scope(groups, state)`       a `StatelessScope` in which groups of variables have these values
`build(model, batches)`      builds model, optimizer and metrics before the first step of `fit`, from its iterator
`shuffles_alike()`           whether a new process can repeat the order in which `fit` shuffles arrays
`fuse(formula)`              compiles `formula` to one kernel forward and one backward, unless a compiler does it anyway
`accelerate(formula)`        `formula`, or this backend's kernel `room.name` if there is one and it accepts the call

Only the folders below import a framework, and only the selected one is imported.
"""

import importlib

import keras

from keras_lecture._backend.acceleration import Decorator, accelerator
from keras_lecture._backend.state import scope

_NAME = keras.backend.backend()
_FOLDER = _NAME if _NAME in ("jax", "tensorflow", "torch") else "forward_only"


def _part(name):
    return importlib.import_module(f"keras_lecture._backend.{_FOLDER}.{name}")


value_and_grad = _part("autodiff").value_and_grad
hessian_vector_product = _part("autodiff").hessian_vector_product
compile = _part("autodiff").compile
trace = _part("autodiff").trace
outside_of_traces = _part("autodiff").outside_of_traces
fuse: Decorator = _part("autodiff").fuse
train_step = _part("training").train_step
repeatable = _part("training").repeatable
execution = _part("training").execution
generators = _part("training").generators
set_generators = _part("training").set_generators
build = _part("training").build
shuffles_alike = _part("training").shuffles_alike
build_first = _part("training").build_first
only_if = _part("training").only_if
recover = _part("training").recover
mean_over_ranks = _part("training").mean_over_ranks
device_scope = _part("training").device_scope
global_batch = _part("training").global_batch
double_precision = _part("precision").double_precision
END_OF_DATA = _part("training").END_OF_DATA
PURE_TRAIN_STEP = _part("training").PURE_TRAIN_STEP
accelerate = accelerator(_part("kernels").KERNELS)

__all__ = [
    "END_OF_DATA",
    "PURE_TRAIN_STEP",
    "accelerate",
    "build",
    "build_first",
    "compile",
    "device_scope",
    "double_precision",
    "fuse",
    "generators",
    "global_batch",
    "hessian_vector_product",
    "mean_over_ranks",
    "only_if",
    "outside_of_traces",
    "recover",
    "repeatable",
    "scope",
    "set_generators",
    "shuffles_alike",
    "trace",
    "train_step",
    "value_and_grad",
]
