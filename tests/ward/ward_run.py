"""Runs the programs of the ward under the doctor and prints how it judged them.

    KERAS_BACKEND=torch python tests/ward/ward_run.py [--seeds 0,1,2] [--out FILE] [--held-out yes|no|all] [word …]

Each line of the output file is one run: name, kind ("sick", "twin", "healthy"), seed, findings. Runs that are already
in the file are not repeated. Without words all programs run, with words those whose name or file contains one.
"""

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path

# The folder of this script, first on the path, has a `ward.py` that would hide the package `ward`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)

import keras  # noqa: E402
from ward.ward import CASES, HEALTHY  # noqa: E402

from keras_lecture.callbacks import Doctor  # noqa: E402


def programs():
    """`(name, kind, build(seed), entry)` of all runs of the ward."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem.startswith(("sick_", "healthy_")):
            importlib.import_module(f"ward.{path.stem}")
    for case in CASES.values():
        yield case.name, "sick", lambda seed, case=case: case.build(True, seed), case
        yield case.name, "twin", lambda seed, case=case: case.build(False, seed), case
    for entry in HEALTHY.values():
        yield entry.name, "healthy", lambda seed, entry=entry: entry.build(seed), entry


def judged(build, seed):
    """Findings and steps of one run."""
    keras.utils.set_random_seed(seed)
    run = build(seed)
    doctor = Doctor(verbose=0)
    options = {"validation_data": run.validation_data, "verbose": 0} | run.fit
    options["callbacks"] = [*options.get("callbacks", ()), doctor]
    start = time.perf_counter()
    error = None
    try:
        run.model.fit(run.x, run.y, **options)
    except Exception as exception:
        error = f"{type(exception).__name__}: {str(exception)[:200]}"
    findings = [[f.rule, f.severity, f.layer, f.first_step, f.last_step, f.is_open, f.cause] for f in doctor.findings]
    epochs = doctor.record["epochs"]
    return {
        "findings": findings,
        "unknown": [unknown.rule for unknown in doctor.unknown],
        "steps": epochs[-1]["step"] if epochs else 0,
        "unseen": doctor.record["unseen"],
        "error": error,
        "seconds": round(time.perf_counter() - start, 2),
        "record": doctor.record,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--out", default="ward.jsonl")
    parser.add_argument("--records", help="a folder for the records of all runs")
    parser.add_argument("--held-out", default="all", choices=("yes", "no", "all"))
    parser.add_argument("--kinds", default="sick,twin,healthy")
    parser.add_argument("--part", default="0/1", help="i/n: every n-th run, from the i-th")
    given = parser.parse_args()
    out = Path(given.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    done = {tuple(json.loads(line)["run"]) for line in out.read_text().splitlines()} if out.exists() else set()
    part, parts = map(int, given.part.split("/"))
    for index, (name, kind, build, entry) in enumerate(programs()):
        held_out = entry.held_out
        if index % parts != part or kind not in given.kinds or given.held_out == ("no" if held_out else "yes"):
            continue
        if given.words and not any(word in name or word in entry.build.__module__ for word in given.words):
            continue
        for seed in map(int, given.seeds.split(",")):
            run = (keras.backend.backend(), name, kind, seed)
            if run in done:
                continue
            found = judged(build, seed)
            record = found.pop("record")
            if given.records:
                folder = Path(given.records)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{name}.{kind}.{seed}.json").write_text(json.dumps(record, default=str))
            fault = getattr(entry, "fault", None)
            accepted = [fault, *getattr(entry, "equivalents", ())]
            line = {"run": run, "held_out": held_out, "family": entry.family, "accepted": accepted, **found}
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            serious = [f"{f[0]}:{f[1]}" for f in found["findings"] if f[1] != "low"]
            seconds, expected = found["seconds"], fault or ""
            print(f"{kind:8} {name:55} {seed} {seconds:6.1f} s {expected:22} {' '.join(serious)}", flush=True)
        keras.utils.clear_session(free_memory=False)


if __name__ == "__main__":
    main()
