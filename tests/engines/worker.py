"""One process under some engines: trains every case and writes the numbers as JSON.

python worker.py '{"engines": ["DataParallel on 4"], "rank": 0, "world": 1, "folder": "…"}' answer.json
"""

import json
import os
import sys
import traceback
import warnings

ORDER = json.loads(sys.argv[1])
if os.environ["KERAS_BACKEND"] == "jax":
    count = max(int(name.split()[-1]) for name in ORDER["engines"])
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"

from devices import Alone, engines, prepare  # noqa: E402

prepare(ORDER["engines"])
CHOSEN = engines(ORDER["engines"], ORDER["rank"], ORDER["world"], ORDER["folder"])

from cases import CASES, FITS  # noqa: E402


def answer(case, engine):
    """The numbers of a case, or the error with which it was refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            return case(engine)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()[-3000:]}


answers = {}
for name, engine in {"one device": Alone(), **CHOSEN}.items():
    kept = CASES if "DistributedDataParallel" in name else CASES | FITS
    kept = {title: case for title, case in kept.items() if title in ORDER.get("cases", kept)}
    answers[name] = {}
    for title, case in kept.items():
        answers[name][title] = answer(case, engine)
        print(name, title, flush=True)
        # After every case, for one who interrupts a long run.
        with open(sys.argv[2], "w") as file:
            json.dump(answers, file)
