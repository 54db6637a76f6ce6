"""Calls the command line in this process."""

import contextlib
import io

from keras_lecture._command_line import main


def run(*words):
    """Exit code, standard output and standard error of `keras-lecture` with these words."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return code, out.getvalue(), err.getvalue()
