"""The tables of the ward for the documentation, from its runs."""

import json
from pathlib import Path

from ward import ward_table as table

from keras_lecture.diagnosis._rules import RULES, judge
from keras_lecture.diagnosis._rules.rule import SEVERITIES, Finding

BACKENDS = {"torch": "PyTorch", "jax": "JAX", "tensorflow": "TensorFlow"}
KINDS = {"sick": "sick runs", "twin": "healthy twins", "healthy": "other healthy runs"}


def page(runs, records):
    """All tables as Markdown; the summary stands between two comments, so that a page can include it alone.

    `records` is the folder of the records of the runs, which tell when the doctor named a fault.
    """
    for run in runs:
        run["named_at"] = named_at(run, records) if run["run"][2] == "sick" else None
    parts = ["<!-- summary -->", counted(runs), overview(runs), "<!-- end of the summary -->"]
    return "\n\n".join([*parts, by_fault(runs), by_rule(runs)]) + "\n"


def named_at(run, records):
    """The share of the run that was over when its fault was named; `None` if it never was, or without a record.

    A finding says since when the fault is there. When it was named shows a judgement of the record as it was then.
    """
    _, name, kind, seed = run["run"]
    file = Path(records) / f"{name}.{kind}.{seed}.json"
    if not file.exists():
        return None
    record = json.loads(file.read_text())
    for step in [probe["step"] for probe in record["probes"]]:
        answers = judge(until(record, step))
        if any(isinstance(answer, Finding) and answer.rule in run["accepted"] for answer in answers):
            return step / max(run["steps"], 1)
    return None


def until(record, step):
    """The record as it was after the step."""
    losses = record["losses"]
    known = [pair for pair in zip(losses["steps"], losses["values"], strict=True) if pair[0] <= step]
    parts = {name: [part for part in record[name] if part["step"] <= step] for name in ("probes", "epochs", "steps")}
    return {**record, **parts, "losses": {"steps": [s for s, _ in known], "values": [loss for _, loss in known]}}


def counted(runs):
    """The sentence that says which runs these are."""
    backends = " and ".join(BACKENDS[name] for name in sorted({run["run"][0] for run in runs}))
    counts = []
    for kind, words in KINDS.items():
        own = [run for run in runs if run["run"][2] == kind]
        seeds = sorted({run["run"][3] for run in own})
        if own:
            programs = len({run["run"][1] for run in own})
            given = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            counts.append(f"{len(own)} {words} of {programs} programs ({given})")
    return f"On {backends}: {'; '.join(counts)}."


def overview(runs):
    """The table of the whole ward and of its part that was held out."""
    parts = [runs, [run for run in runs if run["held_out"]]]
    columns = [dict(numbers(part)) for part in parts]
    rows = [f"| {name} | {' | '.join(column.get(name, '–') for column in columns)} |" for name in columns[0]]
    return "\n".join(["| | all | held out |", "|---|---|---|", *rows])


def numbers(runs):
    sick = [run for run in runs if run["run"][2] == "sick"]
    healthy = [run for run in runs if run["run"][2] != "sick"]
    if sick:
        yield "sick runs whose fault is named", f"{sum(map(table.named, sick))} of {len(sick)}"
        times = [run["named_at"] for run in sick if run["named_at"] is not None]
        yield "… before the first step", f"{times.count(0)} of {len(sick)}"
        yield "… in the first tenth of the run", f"{sum(time <= 0.1 for time in times)} of {len(sick)}"
        extra = sum(len(table.others(run)) for run in sick) / len(sick)
        yield "other medium or high findings per sick run", f"{extra:.2f}"
    for severity in reversed(SEVERITIES) if healthy else ():
        count = len(table.flagged(healthy, severity))
        yield f"healthy runs with a {severity} finding", f"{count} of {len(healthy)}"
    for severity in reversed(SEVERITIES):
        rules = {name for name in RULES if level(name) == severity}
        shares = [len(rules & set(run["unknown"])) / len(rules) for run in runs]
        if shares:
            yield f"unknown answers of the {len(rules)} {severity} rules", percent(sum(shares) / len(shares))


def by_fault(runs):
    """For each fault: recall, time to detection, confusions."""
    lines = ["## By fault", "", "| fault | named | median time to the name | other medium or high findings |"]
    lines.append("|---|---|---|---|")
    for fault, (hits, count, confused) in table.faults(runs).items():
        own = [run["named_at"] for run in runs if run["accepted"][0] == fault and run["named_at"] is not None]
        time = sorted(own)[len(own) // 2] if own else None
        when = "–" if time is None else "before the first step" if time == 0 else f"{percent(time)} of the run"
        wrong = ", ".join(f"{name} {number}" for name, number in confused.most_common(4))
        lines.append(f"| {link(fault)} | {hits} of {count} | {when} | {wrong} |")
    return "\n".join(lines)


def by_rule(runs):
    """For each rule: findings on healthy runs by severity, and the share of unknown answers."""
    healthy = [run for run in runs if run["run"][2] != "sick"]
    lines = [
        "## By rule",
        "",
        f"| rule | high, medium, low on {len(healthy)} healthy runs | unknown |",
        "|---|---|---|",
    ]
    for rule in sorted(RULES):
        counts = [len(table.flagged(healthy, severity, rule)) for severity in reversed(SEVERITIES)]
        unknown = sum(rule in run["unknown"] for run in runs) / len(runs)
        lines.append(f"| {link(rule)} | {', '.join(map(str, counts))} | {percent(unknown)} |")
    return "\n".join(lines)


def level(name):
    """The highest severity of a rule."""
    return max((rule.severity for rule in RULES[name]), key=SEVERITIES.index)


def link(rule):
    return f"[{rule}](rules/{rule}.md)" if rule in RULES else rule


def percent(share):
    return f"{share:.0%}".replace("%", " %")
