"""Treats the programs of the ward: sick, sick with `treat=True`, healthy twin; healthy programs with and without it.

    KERAS_BACKEND=torch python tests/ward/ward_treat.py [--seeds 0] [--kinds sick,healthy] [--trust] [word …]

A sick program counts if its fault is a rule that has a treatment. It ended well if its score is at most two points
below that of its twin: 0.02 where the score is a share of right classes, else 2 % of the distance from the sick score
to the twin's. A healthy program was not made worse if nothing was done (then its weights must be the same bit by bit),
or if its score fell by at most two points, of the distance from 0 to its score where this is no share. Runs that are
already in the output file are not repeated.
"""

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

# The folder of this script, first on the path, has a `ward.py` that would hide the package `ward`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from ward.programs import default_score  # noqa: E402
from ward.ward_run import programs  # noqa: E402

from keras_lecture.callbacks import Doctor  # noqa: E402
from keras_lecture.callbacks._doctor.treatments import TREATMENTS  # noqa: E402

_POINTS = 0.02


def trained(build, seed, treat=None):
    """Score, doctor, final weights and seconds of a run; without a doctor if `treat` is `None`."""
    keras.utils.set_random_seed(seed)
    run = build(seed)
    score = default_score(run)
    doctor = None if treat is None else Doctor(verbose=0, treat=treat)
    options = {"validation_data": run.validation_data, "verbose": 0} | run.fit
    options["callbacks"] = [*options.get("callbacks", ()), *([doctor] if doctor else ())]
    start = time.perf_counter()
    run.model.fit(run.x, run.y, **options)
    seconds = time.perf_counter() - start
    return score(run.model), doctor, run.model.get_weights(), seconds, "accuracy" in score.__qualname__


def treated_case(build_sick, build_twin, seed, known=None):
    """The scores of a sick program, of the same with treatment, and of its twin; `known` has the first and the last."""
    if known is None:
        sick, *_ = trained(build_sick, seed)
        twin, _, _, _, is_share = trained(build_twin, seed)
    else:
        sick, twin, is_share = known["sick"], known["twin"], known["is_share"]
    treated, doctor, _, seconds, _ = trained(build_sick, seed, treat=True)
    allowed = _POINTS if is_share else _POINTS * abs(twin - sick) if math.isfinite(sick) else _POINTS * abs(twin)
    return {
        "sick": sick,
        "treated": treated,
        "twin": twin,
        "is_share": is_share,
        "well": bool(treated >= twin - allowed),
        "better": bool(treated > sick + allowed),
        "worse": bool(treated < sick - allowed),
        "seconds": round(seconds, 1),
        "actions": [[a["kind"], a["rule"], a["step"], a["before"], a["after"]] for a in doctor.actions],
        "untreated": doctor.record.get("untreated", []),
        "unseen": doctor.record["unseen"],
    }


def healthy_pair(build, seed, trust):
    """The scores of a healthy program with and without treatment; with `trust` only the first if nothing was tried."""
    treated, doctor, after, seconds, is_share = trained(build, seed, treat=True)
    if trust and not doctor.actions and not doctor.record["untreated"]:
        unseen = doctor.record["unseen"]
        return {"treated": treated, "idle": True, "worse": False, "actions": [], "unseen": unseen, "seconds": seconds}
    plain, _, before, _, _ = trained(build, seed)
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))
    allowed = _POINTS * (1 if is_share else abs(plain))
    return {
        "plain": plain,
        "treated": treated,
        "same": same,
        "worse": bool(treated < plain - allowed) or (not same and not doctor.actions),
        "seconds": round(seconds, 1),
        "actions": [[a["kind"], a["rule"], a["step"], a["before"], a["after"]] for a in doctor.actions],
        "untreated": doctor.record.get("untreated", []),
        "unseen": doctor.record["unseen"],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--kinds", default="sick,healthy")
    parser.add_argument("--out", default="treat.jsonl")
    parser.add_argument(
        "--trust", action="store_true", help="one run of a healthy program with which nothing was tried"
    )
    parser.add_argument("--scores", help="an earlier output file whose scores of sick programs and twins are used")
    given = parser.parse_args()
    out = Path(given.out)
    lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {tuple(line["run"]) for line in lines}
    earlier = [json.loads(line) for line in Path(given.scores).read_text().splitlines()] if given.scores else []
    known = {tuple(line["run"]): line for line in earlier if "twin" in line}
    builds = {(name, kind): (build, entry) for name, kind, build, entry in programs()}
    for (name, kind), (build, entry) in builds.items():
        chosen = not given.words or any(word in name or word in entry.build.__module__ for word in given.words)
        if kind not in given.kinds.split(",") or not chosen or (kind == "sick" and entry.fault not in TREATMENTS):
            continue
        for seed in map(int, given.seeds.split(",")):
            if (name, kind, seed) in done:
                continue
            try:
                if kind == "sick":
                    found = treated_case(build, builds[name, "twin"][0], seed, known.get((name, kind, seed)))
                else:
                    found = healthy_pair(build, seed, given.trust)
            except Exception as error:
                found = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
            line = {"run": [name, kind, seed], "fault": getattr(entry, "fault", None), **found}
            lines.append(line)
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
            keras.utils.clear_session(free_memory=False)
    for kind in given.kinds.split(","):
        rows = [line for line in lines if line["run"][1] == kind and "error" not in line]
        counts = {key: sum(bool(row.get(key)) for row in rows) for key in ("well", "better", "worse", "same", "idle")}
        print(f"{kind}: {len(rows)} runs, {counts}, {sum(bool(row['actions']) for row in rows)} with actions")


if __name__ == "__main__":
    main()
