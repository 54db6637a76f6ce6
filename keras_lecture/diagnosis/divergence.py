"""The first layer in which two runs of one model differ: two backends, versions or devices, compiled or not."""

import contextlib
import os

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture.diagnosis._divergence import files, judgement
from keras_lecture.diagnosis._divergence.recording import Recording, build, own_weights, recorded
from keras_lecture.diagnosis._divergence.result import Divergence, divergence
from keras_lecture.diagnosis._facts.reasons import message

__all__ = ["compare", "record"]

Path = str | os.PathLike[str]


def record(model: keras.Model, x: Tensor, y: Tensor | None, path: Path, sample_weight: Tensor | None = None) -> None:
    """Writes what a model computes on one batch to a file, for the comparison with the same model in another process.

    Use it before you port a model to another backend, change a version or a device, or compile it; then let `compare`
    read the file there. A few samples are enough: the file holds the batch, the weights, and up to 65,536 entries of
    each tensor. Every pass runs in the model's own precision and in float64, which takes some seconds, most of them
    for compilation.

        r = max |own − float64|   the rounding of each tensor, by which `compare` knows how far two runs may differ

    Recorded are, in the order of the calls, the outputs of every layer in inference and in training mode, the moving
    statistics after the pass, the gradients of all signals and weights, the optimizer's settings and three of its steps
    with gradients that are the same in every process. Dropout, noise and augmentation draw other numbers on other
    backends: they are off. If something else is random, the comparison ends there, with a note. Not recorded are a
    `train_step` of your own and the state that a trained optimizer has reached. The model, its optimizer and the random
    state do not change.

    Args:
        model: A Keras model. Without `compile`, only the outputs are compared.
        x, y, sample_weight: One batch, as for `model.train_on_batch`; `y` may be `None`. `sample_weight` defaults to
            `None`.
        path: The file, `.npz` without pickled objects.

    Example:
        >>> import tempfile
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="line")])
        >>> model.compile("sgd", "mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     keras_lecture.diagnosis.divergence.record(model, np.eye(2), np.ones((2, 1)), f"{folder}/run.npz")
        ...     print(keras_lecture.diagnosis.divergence.compare(model, f"{folder}/run.npz").stage)
        None

    Reference:
        Deck D for gradients by layer. Float64 as the measure of rounding is the idea of `diagnosis.gradient_check`.
    """
    _check_model("record", model)
    batch = _arrays(x), _arrays(y), _arrays(sample_weight)
    if batch[0] is None:
        checks.reject("record", "x", "one batch of arrays", x)
    with _errors_of("record", batch):
        build(model, batch)
        run = recorded(model, batch, own_weights(model))
    files.write(run, path)


def compare(model: keras.Model | Path, path: Path, *, weights: str = "recorded") -> Divergence:
    """Finds the first layer in which two runs of one model differ by more than rounding.

    Use it if a model gives other results after a change of the backend, the version, the device or the compilation. The
    runs are compared in the order weights, input, forward (inference, then training mode), backward from the loss to
    the first layer, optimizer. The first difference is the origin: all others may be its consequences.

        |a − b| ≤ 2⁻¹³·r + 2¹⁶·ε·s   in float64, in which healthy runs agree to many more digits than in their own

    r the larger rounding of both runs, s the largest magnitude in the tensor, ε the spacing of float64 at 1. A run that
    is 256 times as far from float64 as the other one computes in lower precision (TF32, bfloat16): that is a divergence
    with the `reason` `"precision"`. Where float64 is not available, |a − b| ≤ 4·(rₐ + r_b + ε·s) in the model's own
    precision. A layer that gets equal arguments and returns other outputs is at fault; arguments that differ although
    all outputs before them agree are the fault of the layer that contains the call.

    Args:
        model: The model in this process, or the path of another file.
        path: A file of `record`.
        weights: `"recorded"`: the comparison uses the weights of the file, and a note says if the model has others;
            `"own"`: it uses the model's, and other weights are the first divergence. Defaults to `"recorded"`.

    Returns:
        A `Divergence`, true if the runs differ: `layer`, `stage` (`"weights"`, `"input"`, `"forward"`, `"backward"`,
        `"step"`), `quantity`, `difference`, `allowed`, `reason`, `table` (all compared quantities), `notes` (what was
        not compared) and `runs`. `layer` is `"loss"` or `"optimizer"` if the fault is theirs.

    Example:
        >>> import tempfile
        >>> def build(epsilon):
        ...     layers = [keras.Input((3,)), keras.layers.LayerNormalization(epsilon=epsilon, name="norm")]
        ...     return keras.Sequential([*layers, keras.layers.Dense(1, name="line")])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     keras_lecture.diagnosis.divergence.record(build(1e-3), np.eye(3), None, f"{folder}/run.npz")
        ...     found = keras_lecture.diagnosis.divergence.compare(build(1e-5), f"{folder}/run.npz")
        >>> bool(found), found.layer, found.stage, found.reason
        (True, 'norm', 'forward', 'formula')

    Reference:
        Deck D for gradients by layer. A layer that no process evaluates in another way, because both share its mistake,
        shows no difference: `diagnosis.gradient_check` compares a gradient with its loss.
    """
    checks.one_of("compare", "weights", weights, ("own", "recorded"))
    theirs = files.read(path)
    if isinstance(model, str | os.PathLike):
        one, notes = files.read(model), []
        return _judged(one, theirs, judgement.weights(one, theirs) + judgement.inputs(one, theirs), notes)
    _check_model("compare", model)
    with _errors_of("compare", theirs.batch):
        build(model, theirs.batch)
    own = own_weights(model)
    rows = judgement.weights(theirs, Recording({}, {}, own, theirs.batch, [], []))
    differ = next((row for row in rows if not row.agrees), None)
    used, notes = own, []
    if differ is not None and weights == "recorded":
        if any(row.reason == "shape" for row in rows):
            return _judged(theirs, Recording(theirs.about, theirs.settings, own, theirs.batch, [], []), rows, [])
        notes = [f"The model's own weights differ from the recorded ones, first in {differ.name}; the latter are used."]
    if weights == "recorded":
        used = theirs.weights
    with _errors_of("compare", theirs.batch):
        run = recorded(model, theirs.batch, used)
    return _judged(theirs, run, rows if weights == "own" else [], notes)


def _judged(one, other, rows, notes):
    table, found = judgement.quantities(one, other)
    notes = [*notes, *found, *dict.fromkeys([*one.notes, *other.notes])]
    rows += judgement.settings(one, other) + table
    return divergence(rows, notes, (one.about, other.about))


def _check_model(owner, model):
    checks.instance(owner, "model", model, keras.Model, "a Keras model")


@contextlib.contextmanager
def _errors_of(owner, batch):
    """Says which arrays the model cannot take; the backends' own errors do not."""
    try:
        yield
    except Exception as error:
        shapes = keras.tree.map_structure(lambda leaf: None if leaf is None else tuple(leaf.shape), batch[0])
        raise ValueError(
            f"{owner}: `model` must be one that can take the batch, with inputs of the shapes {shapes}. "
            f"It answered: {message(error)}"
        ) from error


def _arrays(structure):
    """NumPy arrays in the same structure; a list of numbers is one array."""
    if structure is None:
        return None
    if isinstance(structure, list | tuple) and structure and np.ndim(structure[0]) == 0:
        structure = np.asarray(structure)

    def leaf(value):
        if keras.ops.is_tensor(value):
            value = keras.ops.convert_to_numpy(value)
        array = np.asarray(value)
        return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array

    return keras.tree.map_structure(leaf, structure)
