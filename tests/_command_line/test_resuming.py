"""The options of a run that is resumed, in a file that may be damaged."""

from argparse import Namespace

import pytest

from keras_lecture._command_line.resuming import state_of


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 10**5, b"7", b"[]", b"\xff"])
def test_a_damaged_file_of_options_is_an_error_that_says_what_to_do(tmp_path, text):
    """It ended in a traceback."""
    state = state_of(Namespace(seed=1), tmp_path)
    (state / "run-00000001.npz").write_bytes(b"")
    (state / "arguments.json").write_bytes(text)
    with pytest.raises(ValueError, match="`--resume` must be used with an intact file of options.*Remove .*state"):
        state_of(Namespace(seed=1), tmp_path)


def test_options_may_change_until_the_first_state_is_saved(tmp_path):
    """The lock of a run that was ended before its first save is no state."""
    state = state_of(Namespace(seed=1), tmp_path)
    (state / "run.lock").write_bytes(b"")
    state_of(Namespace(seed=2), tmp_path)
    (state / "run-00000001.npz").write_bytes(b"")
    with pytest.raises(ValueError, match="`--seed` must be 2, as in the run to be resumed"):
        state_of(Namespace(seed=1), tmp_path)
