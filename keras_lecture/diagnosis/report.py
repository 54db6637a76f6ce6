"""The report of a training run, from its record alone."""

import os
from typing import Any

from keras_lecture._core import checks
from keras_lecture.diagnosis._report.document import resolve
from keras_lecture.diagnosis._report.html import write_page
from keras_lecture.diagnosis._report.summary import summary


def report(
    run: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    compare: Any = None,
    since: int | None = None,
) -> dict[str, Any]:
    """Says in one sentence what is wrong with a training run, with the findings, and writes them as an HTML page.

    Use it to pass a run on to others, or to read it in a script. It needs the record alone: neither model nor data.
    The page is one file that opens without a network: the verdict, the losses with the findings, gradients, signals
    and updates of each layer over time, the findings with their cures, and what was not judged.

        status = severity of the worst open finding

    Args:
        run: A `callbacks.Doctor`, its `record` or `document()`, or the path of a file that `Doctor.save` wrote.
        path: Where to write the page; `None` writes none. Defaults to `None`.
        compare: A second run, in any of the forms of `run`, which the page shows beside the first. Defaults to `None`.
        since: A step: only findings named, changed or healed after it, and actions after it. Defaults to `None`.

    Returns:
        A dict: `schema` (1), `status` (`"healthy"`, `"medium"`, `"high"` or `"unjudged"`), `exit_code` (0, 4, 5 or 6),
        `verdict` (one sentence), `steps`, `epochs`, `findings` (as `Finding.to_dict()`, at most 2 kB of JSON each, the
        most severe first), `unknown` (rules that could not tell), `actions` (treatments) and `unseen`.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("adam", "binary_crossentropy")
        >>> doctor = keras_lecture.callbacks.Doctor(verbose=0)
        >>> x = np.random.default_rng(0).normal(size=(64, 2))
        >>> _ = model.fit(x, x[:, 0] > 0, epochs=2, verbose=0, callbacks=[doctor])
        >>> result = keras_lecture.diagnosis.report(doctor)
        >>> result["status"], result["exit_code"], result["findings"][0]["rule"]
        ('high', 5, 'output-loss-mismatch')

    Reference:
        Deck A (the tuning table). Findings that healed do not count for the status; a run of which nothing was
        measured is `"unjudged"` unless its data already show a fault.
    """
    if since is not None:
        checks.whole("report", "since", since, "[0, ∞)", "Or None.")
    document = resolve("report", "run", run)
    other = None if compare is None else resolve("report", "compare", compare)
    if path is not None:
        write_page(path, document, other)
    return summary(document, since)
