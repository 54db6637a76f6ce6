"""A plugin of pytest that adds the doctor to every `fit` of the suite and lists the invariants that it saw violated.

    PYTHONPATH=tests KERAS_BACKEND=torch python -m pytest -p support.under_doctor tests/callbacks …

Each line of the file `DOCTOR_ALARMS` (`runs/alarms.txt` unless set) is a violated invariant with its test. Tests that
inject violations are expected there, all others are false alarms. Tests that count callbacks or train functions fail
under the plugin and say nothing about it.
"""

import os
from pathlib import Path

import keras
import pytest

from keras_lecture.callbacks import Doctor

_FILE = Path(os.environ.get("DOCTOR_ALARMS", "runs/alarms.txt"))
_counts = {"fits": 0, "judged": 0, "alarms": 0}
_test = ""


def _write(line):
    _FILE.parent.mkdir(parents=True, exist_ok=True)
    with _FILE.open("a") as file:
        file.write(f"{keras.backend.backend()} {_test} {line}\n")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    global _test
    _test = item.nodeid


def pytest_configure():
    plain = keras.Model.fit

    def fit(self, *args, **options):
        given = options.get("callbacks")
        callbacks = [] if given is None else given if isinstance(given, list | tuple) else [given]
        if isinstance(given, keras.callbacks.CallbackList) or any(isinstance(each, Doctor) for each in callbacks):
            return plain(self, *args, **options)
        doctor = Doctor(verbose=0)
        _counts["fits"] += 1
        try:
            return plain(self, *args, **{**options, "callbacks": [*callbacks, doctor]})
        finally:
            facts = doctor.record["invariants"]
            _counts["judged"] += sum(fact["holds"] is True for fact in facts.values())
            for name, fact in facts.items():
                if fact["holds"] is False:
                    _counts["alarms"] += 1
                    _write(f"{name}: {fact.get('where')}: {fact.get('detail')}")
            for sentence in doctor.record["unseen"]:
                _write(f"unseen: {sentence}")

    keras.Model.fit = fit


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(
        f"under the doctor: {_counts['fits']} fits, {_counts['judged']} invariants judged to hold, "
        f"{_counts['alarms']} judged violated ({_FILE})"
    )
