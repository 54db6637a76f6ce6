"""The questions and answers are true: their code runs, and their messages are those of the library."""

import re
import sys
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from support import snippets

from keras_lecture import callbacks, data, layers, losses, optimizers

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "faq.md").read_text(encoding="utf-8")
ANSWERS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
CODES = {
    title: code for title, text in ANSWERS.items() for code in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
}
MESSAGES = {
    title: found[0]
    for title, text in ANSWERS.items()
    if (found := re.findall(r"^```text\n(.*?)\n```", text, re.M | re.S))
}


def step_of_its_own():
    """A class whose `train_step` calls no optimizer. On JAX a step also takes and returns the state.

    Another class for each use: Keras changes the bases of one that is called with inputs and outputs.
    """

    class StepOfItsOwn(keras.Model):
        def train_step(self, *args):
            logs = {"loss": 0.0}
            return (logs, args[0]) if keras.backend.backend() == "jax" else logs

    return StepOfItsOwn


class Unregistered(keras.layers.Layer):
    """A layer that loading cannot find."""

    def call(self, inputs):
        return inputs


class Careless(keras.Model):
    """It does not pass `training` to its augmentation."""

    def __init__(self):
        super().__init__()
        self.augmentation = layers.RandomAffine(seed=0)

    def call(self, inputs):
        return self.augmentation(inputs)


def trained(optimizer, bound_to=None, **options):
    known = snippets.names()
    model = known["model"]
    if bound_to is not None:
        optimizer.bind(model if bound_to == "model" else bound_to)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(known["x"], known["y"], batch_size=64, verbose=0, **options)
    return model, known


def unbound(folder):
    trained(optimizers.Armijo())


def bound_to_another(folder):
    trained(optimizers.LBFGS(), bound_to=snippets.names()["model"])


def frozen(folder):
    model, known = trained(optimizers.LBFGS(), bound_to="model")
    known["layer"].trainable = False
    model.fit(known["x"], known["y"], batch_size=64, verbose=0)


def decayed(folder):
    optimizers.Armijo(weight_decay=0.1)


def hessian(folder):
    model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(512), keras.layers.Dense(10)])
    model.compile(optimizers.Newton().bind(model), "mse")
    model.fit(np.zeros((2, 784)), np.zeros((2, 10)), verbose=0)


def searched_in_a_step_of_its_own(folder):
    optimizers.Armijo().bind(step_of_its_own()())


def watched_in_a_step_of_its_own(folder):
    known = snippets.names()
    model = step_of_its_own()(known["model"].inputs[0], known["model"].outputs[0])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(known["x"], known["y"], verbose=0, callbacks=[callbacks.GradientMonitor()])


def loaded(folder):
    keras.Sequential([keras.Input((2,)), Unregistered()]).save(folder / "model.keras")
    keras.models.load_model(folder / "model.keras")


def broadcast(folder):
    losses.L2()(np.zeros((8, 3)), np.zeros((8, 1)))


def augmented(folder):
    Careless().predict(np.zeros((2, 8, 8, 1), "float32"), verbose=0)


def scheduled(folder):
    schedule = optimizers.schedules.WarmRestarts(0.1, period=2)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=1e9)
    trained(optimizers.Adam(schedule), epochs=3, callbacks=[plateau])


def resumed(folder):
    trained(optimizers.SGD(0.1), callbacks=[callbacks.ExactResume(folder)])
    trained(optimizers.Momentum(0.1), callbacks=[callbacks.ExactResume(folder)])


def shuffled(folder):
    known = snippets.names()
    known["model"].fit(data.Curriculum(known["x"], known["y"], 4, difficulty=np.arange(64)), verbose=0)


def without_scikit_learn(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "keras_lecture.data._sources.bundled", raising=False)
        for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"] or ["sklearn"]:
            patch.setitem(sys.modules, name, None)
        data.load("digits")


# The beginning of each title with a message, and how to get it.
CAUSES = {
    '"… is not bound': unbound,
    '"… is bound to another': bound_to_another,
    '"… was built for': frozen,
    '"`weight_decay`': decayed,
    '"the Hessian': hessian,
    '"a model with Keras': searched_in_a_step_of_its_own,
    '"nothing is logged': watched_in_a_step_of_its_own,
    '"Could not locate': loaded,
    '"`y_true`': broadcast,
    '"`training`': augmented,
    '"its learning rate': scheduled,
    '"ExactResume': resumed,
    '"Keras shuffles': shuffled,
    '"… comes with': without_scikit_learn,
}


def test_the_page_answers_twenty_questions_and_each_has_code():
    assert len(ANSWERS) >= 20
    assert set(CODES) == set(ANSWERS)


def test_every_message_has_its_cause_and_no_cause_lacks_its_message():
    assert [title for title in ANSWERS if title.startswith('"')] == list(MESSAGES)
    for beginning in CAUSES:
        assert sum(title.startswith(beginning) for title in MESSAGES) == 1, beginning
    assert len(CAUSES) == len(MESSAGES)


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_code_runs_as_written(code, tmp_path, monkeypatch):
    """On a small model with data, see `support/snippets.py`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    snippets.run(code, snippets.names())


@pytest.mark.parametrize("beginning", CAUSES)
def test_message_is_that_of_the_library(beginning):
    """The page has it word for word; `…` stands for what depends on the case."""
    (quoted,) = (message for title, message in MESSAGES.items() if title.startswith(beginning))
    kind, _, text = quoted.partition(": ")
    pattern = ".*".join(map(re.escape, text.split("…")))
    with tempfile.TemporaryDirectory() as folder:
        if kind == "UserWarning":
            with pytest.warns(UserWarning) as given:
                CAUSES[beginning](Path(folder))
            said = [(type(one.message).__name__, str(one.message)) for one in given]
        else:
            with pytest.raises(Exception) as raised, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                CAUSES[beginning](Path(folder))
            said = [(raised.type.__name__, re.sub(r"\x1b\[\d+m", "", str(raised.value)))]
    assert any(name == kind and re.fullmatch(pattern, " ".join(message.split())) for name, message in said), said


def test_a_label_outside_of_the_classes_makes_the_loss_nan():
    assert np.isnan(float(losses.SoftmaxCrossEntropy()(np.array([0, 10]), np.zeros((2, 10), "float32"))))


def test_on_pytorch_gradients_of_weights_with_one_path_add_up():
    """If this fails, Keras has mended it, and the answer can go.

    Oracle: two networks of one weight w under the loss Σw with a rate of 1: each step subtracts 1 from each weight. On
    PyTorch one of them has the gradients 1, 2 and 3 in three steps.
    """

    def network():
        inputs = keras.Input((1,))
        return keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="same")(inputs))

    inputs, networks = keras.Input((1,)), [network(), network()]
    model = keras.Model(inputs, keras.layers.Add()([each(inputs) for each in networks]))
    model.compile(keras.optimizers.SGD(1.0), lambda y_true, y_pred: keras.ops.mean(y_pred), jit_compile=False)
    model.set_weights([np.zeros((1, 1))] * 2)
    model.fit(np.ones((3, 1)), np.ones((3, 1)), batch_size=1, verbose=0)
    moved = sorted(float(weight[0, 0]) for weight in model.get_weights())
    assert moved == ([-6.0, -3.0] if keras.backend.backend() == "torch" else [-3.0, -3.0])
