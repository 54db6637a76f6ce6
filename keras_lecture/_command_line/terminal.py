"""Terminal output: a progress bar on standard error during training, and a table of results."""

import sys
from collections.abc import Collection

import keras
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from keras_lecture._command_line.streams import discard, out

_MEASURED = {"loss": "loss {:.4f}", "val_loss": "validation {:.4f}", "val_accuracy": "{:.2%}"}


# Narrower terminals get the numbers without the bar.
_WIDE = 80


class _ProgressConsole(Console):
    def on_broken_pipe(self):
        """Goes on silently when standard error is closed; rich would end the program."""
        self.quiet = True
        discard(sys.stderr)


class ProgressBar(keras.callbacks.Callback):
    """Progress bar over all epochs of one `fit`, with the metrics of the last epoch."""

    def __init__(self, epochs: int, steps: int):
        super().__init__()
        self._steps = steps
        self._epoch = 0
        console = _ProgressConsole(stderr=True)
        words = (
            # Wide enough for the last epoch; a narrow terminal truncates the metrics first.
            TextColumn(
                "epoch {task.fields[epoch]}/{task.fields[epochs]}",
                table_column=Column(no_wrap=True, min_width=len(f"epoch {epochs}/{epochs}")),
            ),
            TextColumn("{task.fields[measured]}"),
        )
        wide = console.width >= _WIDE
        columns = (words[0], BarColumn(bar_width=24), words[1], TimeRemainingColumn()) if wide else words
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("", total=epochs * steps, epochs=epochs, epoch=0, measured="")

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *reason):
        self._bar.stop()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._bar.update(self._task, completed=epoch * self._steps, epoch=epoch + 1)

    # Not at the end of a batch: Keras would wait for every step there, because a callback may read its metrics.
    def on_train_batch_begin(self, batch, logs=None):
        self._bar.update(self._task, completed=self._epoch * self._steps + batch)

    def on_epoch_end(self, epoch, logs=None):
        measured = "  ".join(text.format(logs[name]) for name, text in _MEASURED.items() if name in (logs or {}))
        self._bar.update(self._task, completed=(epoch + 1) * self._steps, measured=measured)


class Steps:
    """Progress bar over named steps: the one that is running, and how many are done."""

    def __init__(self, names: Collection[str]):
        console = _ProgressConsole(stderr=True)
        words = (
            TextColumn("{task.completed}/{task.total}", table_column=Column(no_wrap=True)),
            TextColumn("{task.description}"),
        )
        wide = console.width >= _WIDE
        columns = (words[0], BarColumn(bar_width=24), words[1], TimeRemainingColumn()) if wide else words
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("", total=len(names))
        self._begun = 0

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, failure, *reason):
        if failure is None:
            self._bar.update(self._task, completed=self._begun, description="")
        self._bar.stop()

    def begin(self, name: str):
        """Shows that the step `name` runs, and that all before it are done."""
        self._bar.update(self._task, completed=self._begun, description=name)
        self._begun += 1


def show(rows: dict[str, dict], lines: list[str]):
    """Prints a table of `rows`, which map columns to numbers, followed by `lines`."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("", no_wrap=True)
    columns = list(next(iter(rows.values())))
    for name in columns:
        table.add_column(name, justify="right")
    for title, values in rows.items():
        table.add_row(title, *(_cell(name, values[name]) for name in columns))
    console = Console(highlight=False, soft_wrap=True, markup=False)
    with console.capture() as shown:
        console.print(table)
    out("\n".join([shown.get(), *lines]))


def counted(number: int, unit: str) -> str:
    """The number with its unit: `1 epoch`, `2 epochs`."""
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"


def _cell(column, value) -> str:
    if value is None:
        return "–"
    if column == "accuracy":
        return f"{value:.2%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
