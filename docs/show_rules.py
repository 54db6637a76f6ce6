"""Writes `rules_shown.json`, which holds for each rule a run that shows it: from the ward, or from a small program.

    KERAS_BACKEND=torch python docs/show_rules.py [RUNS.jsonl … --records FOLDER]

The files and the folder are those that `tests/ward/ward_run.py --out RUNS.jsonl --records FOLDER` has written; without
them the runs of the ward stay as they are. Small programs run here, for the rules that are the fault of no program of
the ward; one that the present backend cannot show keeps its entry. Two need a compiling backend, after this command:

    KERAS_BACKEND=jax python docs/show_rules.py --rules compiled-random-numbers input-dtype
"""

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import keras  # noqa: E402
import rule_programs  # noqa: E402

from keras_lecture.callbacks import Doctor  # noqa: E402
from keras_lecture.diagnosis import audit  # noqa: E402
from keras_lecture.diagnosis._rules import RULES, judge  # noqa: E402
from keras_lecture.diagnosis._rules.rule import SEVERITIES, Finding  # noqa: E402

SHOWN = HERE / "rules_shown.json"


def candidates(paths, records):
    """`(rank, entry)` of every finding of the runs; the smallest rank shows its rule best."""
    from ward.ward_run import programs

    known = {(name, kind): entry for name, kind, _, entry in programs()}
    for run in (json.loads(line) for path in paths for line in Path(path).read_text().splitlines()):
        backend, name, kind, seed = run["run"]
        record = Path(records) / f"{name}.{kind}.{seed}.json"
        if (name, kind) not in known or not record.exists():
            continue
        findings = [f for f in judge(json.loads(record.read_text())) if isinstance(f, Finding)]
        steps = {(f[0], f[2]): f[3:5] for f in run["findings"] if f[5]}
        build = known[name, kind].build
        for finding in findings:
            if (finding.rule, finding.layer) in steps:
                is_fault = kind == "sick" and finding.rule == run["accepted"][0]
                worse = -SEVERITIES.index(finding.severity)
                rank = (not is_fault, kind != "sick", worse, run["held_out"], -finding.confidence, name, seed)
                about = {"program": name, "kind": kind, "seed": seed, "backend": backend, "steps": run["steps"]}
                about |= {"file": f"tests/ward/{build.__module__.rpartition('.')[2]}.py"}
                yield rank, shown(finding, steps[finding.rule, finding.layer], build.__doc__, about)


def small(rule):
    """The entry of a small program, or `None` if this backend does not show the rule."""
    program = rule_programs.PROGRAMS[rule]
    keras.utils.set_random_seed(0)
    given = program()
    about = {"program": program.__name__, "kind": "small", "seed": 0, "backend": keras.backend.backend()}
    about |= {"file": "docs/rule_programs.py", "steps": 0}
    if isinstance(given, dict):
        found = (f for f in judge({"invariants": given}, [rule]) if isinstance(f, Finding))
        return next((shown(f, (0, 0), program.__doc__, about | {"kind": "check"}) for f in found), None)
    model, x, y, options = given
    if options is None:
        found = (finding for finding in audit(model, x, y) if finding.rule == rule)
        return next((shown(f, (0, 0), program.__doc__, about) for f in found), None)
    doctor = Doctor(verbose=0)
    options = {"epochs": 2, "verbose": 0} | options
    try:
        model.fit(x, y, **options | {"callbacks": [*options.get("callbacks", ()), doctor]})
    except Exception as error:
        print(f"{program.__name__}: {type(error).__name__}: {str(error)[:100]}")
    if doctor.record["epochs"]:
        about["steps"] = doctor.record["epochs"][-1]["step"]
    found = (finding for finding in doctor.findings if finding.rule == rule)
    return next((shown(f, (f.first_step, f.last_step), program.__doc__, about) for f in found), None)


def shown(finding, steps, description, about):
    """Plain data for the page of a rule."""
    names = ("rule", "severity", "confidence", "layer", "evidence", "cause", "cure", "code")
    facts = {name: value for name, value in finding.to_dict().items() if name in names}
    text = " ".join((description or "").split())
    return {**about, "description": text, "first_step": steps[0], "last_step": steps[1], **facts}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--records")
    parser.add_argument("--rules", nargs="*", help="only these small programs")
    given = parser.parse_args()
    known = json.loads(SHOWN.read_text(encoding="utf-8")) if SHOWN.exists() else {}
    best = {}
    for rank, entry in candidates(given.runs, given.records) if given.runs else ():
        if entry["rule"] not in best or rank < best[entry["rule"]][0]:
            best[entry["rule"]] = rank, entry
    for rule in sorted(RULES):
        rank, entry = best.get(rule, ((True,), None))
        # A program with this very fault shows it best, a small program better than a by-product of another fault.
        if not rank[0]:
            known[rule] = entry
        elif rule in rule_programs.PROGRAMS and (given.runs or known.get(rule, {}).get("kind") != "sick"):
            is_wanted = given.rules is None or rule in given.rules
            known[rule] = (small(rule) if is_wanted else None) or known.get(rule) or entry
        elif entry is not None:
            known[rule] = entry
        if known.get(rule) is None:
            known.pop(rule, None)
            print(f"{rule}: no run shows it")
    text = json.dumps({rule: known[rule] for rule in sorted(known)}, indent=1, ensure_ascii=False)
    SHOWN.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
