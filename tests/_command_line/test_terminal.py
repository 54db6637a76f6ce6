"""Terminal output: any width, closed pipes, and no terminal codes in files."""

import errno
import io
import re
import sys

import pytest
from support.command import run

from keras_lecture._command_line import start, train
from keras_lecture._command_line.endings import one_line
from keras_lecture._command_line.streams import flushed, out, say
from keras_lecture._command_line.terminal import counted

WINE = ["train", "--dataset", "wine", "--model", "mlp", "units=()", "--epochs", 1, "--batch-size", 107]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize(
    "words",
    [["--help"], *([command, "--help"] for command in ("train", "find-lr", "audit", "report", "figures"))],
    ids=" ".join,
)
def test_help_fits_the_terminal_and_breaks_no_word(words, width, monkeypatch):
    """L15: descriptions and exit codes did not wrap, and names of choices were broken in the middle."""
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = run(*words)
    assert code == 0
    assert max(map(len, out.splitlines())) <= width
    if words[0] == "train":
        assert {"softmax_cross_entropy,", "stochastic_weight_average", "--reduce-learning-rate"} < set(out.split())
    row = next(line for line in out.splitlines() if line.startswith("  130  "))
    assert row == "  130  interrupted"


@pytest.mark.parametrize("width", [40, 80])
def test_table_and_progress_fit_the_terminal(width, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, err = run(*WINE, "--out", tmp_path)
    assert code == 0
    assert "\x1b" not in out + err
    table = out.partition(" parameters")[0].splitlines()[:-1]
    assert max(map(len, [*table, *err.splitlines()])) <= width
    assert "epoch 1/1" in err and any(line.startswith("validation ") for line in table)


def test_keras_error_is_reduced_to_its_message():
    """L15: Keras wraps the message of a layer in the layer's name, terminal codes and a list of arguments."""
    wrapped = "Exception encountered when calling A.call().\n\n\x1b[1mA: `x`\nis wrong\x1b[0m\n\nArguments received: …"
    assert one_line(wrapped) == "A: `x` is wrong"
    assert one_line("\x1b[31mred\x1b[0m  and\nplain") == "red and plain"


def test_singular_and_plural():
    assert [counted(number, "epoch") for number in (0, 1, 2000)] == ["0 epochs", "1 epoch", "2,000 epochs"]


class _Stream(io.StringIO):
    """A stream that fails on flush."""

    def __init__(self, number, file):
        super().__init__()
        self._error = OSError(number, "the reason")
        self.fileno = file.fileno

    def flush(self):
        raise self._error

    def close(self):
        """Does not flush, unlike a real close."""


@pytest.mark.parametrize(("number", "code"), [(errno.EPIPE, 0), (errno.ENOSPC, 1)])
def test_closed_pipe_succeeds_and_full_disk_fails(number, code, tmp_path, monkeypatch, capsys):
    with open(tmp_path / "output", "w") as file:
        monkeypatch.setattr(sys, "stdout", _Stream(number, file))
        assert flushed(0) == code
        assert flushed(3) == 3
        assert ("cannot write the output: the reason" in capsys.readouterr().err) is (code == 1)
        if code == 0:
            out("text")
        monkeypatch.setattr(sys, "stderr", _Stream(number, file))
        say("text")


def test_unexpected_error_is_one_line_and_a_traceback_file(tmp_path, monkeypatch):
    def fail(arguments):
        raise RuntimeError("deep\ninside")

    monkeypatch.setattr(train, "run", fail)
    monkeypatch.setattr(start.tempfile, "tempdir", str(tmp_path))
    code, out, err = run(*WINE)
    assert (code, out) == (1, "")
    (file,) = tmp_path.iterdir()
    assert err == f"keras-lecture: RuntimeError: deep inside (traceback: {file})\n"
    assert re.search(r"in fail\n.*\nRuntimeError: deep\ninside", file.read_text(), re.DOTALL)
