"""The table of the ward from the files that `ward_run.py` has written.

    python tests/ward/ward_table.py FILE … [--markdown docs/ward_tables.md --records FOLDER]

With `--markdown` it writes the tables of the documentation in place of the text for developers; it needs the records.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

_SERIOUS = ("medium", "high")


def load(paths):
    """All runs of the files."""
    return [json.loads(line) for path in paths for line in Path(path).read_text().splitlines()]


def named(run):
    """Whether a finding of any severity names the fault or an equivalent."""
    return any(finding[0] in run["accepted"] for finding in run["findings"])


def others(run):
    """The medium and high findings of a sick run that are not its fault."""
    return [f for f in run["findings"] if f[1] in _SERIOUS and f[0] not in run["accepted"]]


def title(run):
    """The name of a program, its kind and its seed."""
    _, name, kind, seed = run["run"]
    return f"{name} ({kind}, seed {seed})"


def flagged(runs, severity, rule=None):
    """The runs with a finding of the severity, by one rule or by any."""
    return [run for run in runs if any(f[1] == severity and rule in (None, f[0]) for f in run["findings"])]


def summary(runs):
    """The numbers of the acceptance, as lines."""
    sick = [run for run in runs if run["run"][2] == "sick"]
    healthy = [run for run in runs if run["run"][2] != "sick"]
    lines = [f"{len(sick)} sick runs, {len(healthy)} healthy runs (twins included)"]
    if sick:
        found = sum(map(named, sick))
        extra = sum(len(others(run)) for run in sick) / len(sick)
        lines.append(f"fault named: {found / len(sick):.3f} ({found} of {len(sick)})")
        lines.append(f"other medium or high findings per sick run: {extra:.2f}")
    for severity in ("high", "medium"):
        lines.append(f"healthy runs with a {severity} finding: {len(flagged(healthy, severity))} of {len(healthy)}")
    return lines


def faults(runs):
    """By fault: named runs, all runs, the other serious findings with their numbers."""
    rows = defaultdict(lambda: [0, 0, Counter()])
    for run in runs:
        if run["run"][2] == "sick":
            row = rows[run["accepted"][0]]
            row[0] += named(run)
            row[1] += 1
            row[2].update(finding[0] for finding in others(run))
    return dict(sorted(rows.items()))


def write_text(runs):
    """Prints the table for developers."""
    for part, chosen in (
        ("all", runs),
        ("seen while rules were written", [run for run in runs if not run["held_out"]]),
        ("held out", [run for run in runs if run["held_out"]]),
    ):
        print(f"\n{part}: " + "; ".join(summary(chosen)))
    print("\nfault: named of runs; confused with")
    for fault, (hits, count, confused) in faults(runs).items():
        print(f"  {fault:26} {hits:3} of {count:3}   {dict(confused.most_common(4)) or ''}")
    print("\nmissed")
    for run in runs:
        if run["run"][2] == "sick" and not named(run):
            print(f"  {title(run)}: {run['accepted']}; found {[f[:2] for f in run['findings']]}")
    print("\nfalse alarms")
    for run in runs:
        serious = [f for f in run["findings"] if f[1] in _SERIOUS]
        if run["run"][2] != "sick" and serious:
            print(f"  {title(run)}: {[(f[0], f[1], f[2], f[6]) for f in serious]}")
    errors = [run for run in runs if run["error"] or run["unseen"]]
    print("\nerrors and unseen")
    for run in errors:
        print(f"  {title(run)}: {run['error'] or ''} {run['unseen']}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("--markdown", help="the file to write")
    parser.add_argument("--records", help="the folder of the records, as given to `ward_run.py`")
    given = parser.parse_args()
    if given.markdown:
        if not given.records:
            parser.error("--markdown needs --records")
        sys.path[0] = str(Path(__file__).resolve().parent.parent)
        from ward import ward_page

        Path(given.markdown).write_text(ward_page.page(load(given.files), given.records), encoding="utf-8")
    else:
        write_text(load(given.files))


if __name__ == "__main__":
    main()
