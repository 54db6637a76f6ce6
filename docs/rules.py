"""Writes a page for each of the doctor's rules and the list of them, from the rules themselves.

Texts that a rule does not hold are in `rules/*.toml`, and the runs that show it in `rules_shown.json`.
"""

import json
import tomllib
from pathlib import Path

from keras_lecture.diagnosis._rules import RULES, data, flow, generalization, invariants, outputs, progress, structure
from keras_lecture.diagnosis._rules.rule import SEVERITIES

HERE = Path(__file__).parent
FAMILIES = {
    "Data": data,
    "Output and loss": outputs,
    "Structure and start": structure,
    "Signals and gradients": flow,
    "Progress and learning rate": progress,
    "Generalization": generalization,
    "The run does what was written": invariants,
}
KINDS = {
    "sick": "The sick program `{program}` of the ward (`{file}`), seed {seed}, on {backend}: {description}",
    "healthy": "The healthy program `{program}` of the ward (`{file}`), seed {seed}, on {backend}: {description}",
    "small": "The small program `{program}` (`{file}`), on {backend}: {description}",
    "check": "The check `{program}` (`{file}`): {description} In `fit` the doctor does not collect this fact yet.",
}
BACKENDS = {"torch": "PyTorch", "jax": "JAX", "tensorflow": "TensorFlow"}
# Families whose criterion says what a fault is; that of the others says what holds in a healthy run.
OF_FAULTS = (flow, progress, generalization)


def texts():
    """The hand-written texts of each rule: `means`, `matters`, `see`, `reading`."""
    return {
        name: text
        for file in sorted((HERE / "rules").glob("*.toml"))
        for name, text in tomllib.loads(file.read_text(encoding="utf-8")).items()
    }


def runs():
    """The runs that show a rule, by its id."""
    return json.loads((HERE / "rules_shown.json").read_text(encoding="utf-8"))


def write(folder, list_file):
    """Writes the pages into the folder and the list of them into a file, and removes pages of rules that are gone."""
    pages = {folder / f"{name}.md": page(name, text, runs().get(name)) for name, text in texts().items()}
    for stale in set(folder.glob("*.md")) - set(pages):
        stale.unlink()
    for file, text in (pages | {list_file: overview()}).items():
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def page(name, text, run):
    """The Markdown page of a rule."""
    variants = RULES[name]
    severities = sorted({rule.severity for rule in variants}, key=SEVERITIES.index, reverse=True)
    lectures = list(dict.fromkeys(sentence(rule.lecture[:1].upper() + rule.lecture[1:]) for rule in variants))
    cures = {}
    for rule in variants:
        cures.setdefault(rule.code, {})[sentence(rule.cure)] = None
    parts = [
        f"({name})=\n# {name}",
        f"Usually **{' or '.join(severities)}**. {prose(text['means'])}",
        *(criterion(rule, len(variants) > 1) for rule in variants),
        f"## Why it matters\n\n{prose(text['matters'])}",
        f"*Lecture:* {' '.join(lectures)}",
        f"## See it yourself\n\n{code(text['see'])}\n\n{prose(text['reading'])}",
        "## The cure",
        *(f"{' '.join(sentences)}\n\n{code(snippet)}" for snippet, sentences in cures.items()),
        *shown(run),
        NAMES,
    ]
    return "\n\n".join(parts) + "\n"


NAMES = """\
---

In the code, `model`, `x`, `y` and `x_val`, `y_val` are the arguments of your `fit`; `layer` is a layer of the model;
`inputs`, `images` and `hidden` are tensors of a functional model; `self` is the model in its own `train_step`. Imported
are `math`, `keras`, `keras_lecture` and `numpy as np`. [All rules](../doctor.md#the-rules)."""


def criterion(rule, has_two):
    """The criterion as a quotation, why it is free of a scale, and when it is not decided."""
    is_fault = any(rule in family.RULES for family in OF_FAULTS)
    when = (" in the run" if is_fault else " before the first step") if has_two else ""
    title = f"**A finding{when}, if:**" if is_fault else f"**Healthy{when}:**"
    unknown = sentence(rule.unknown_when) if rule.unknown_when else "Never."
    known = f"*Free of a scale:* {sentence(rule.scale_free)} *Unknown:* {unknown[:1].upper()}{unknown[1:]}"
    return "\n\n".join([title, f"> {sentence(rule.criterion)}", known])


def shown(run):
    """The finding of a real run, as the doctor gave it."""
    if run is None:
        return
    facts = run | {"backend": BACKENDS[run["backend"]]}
    yield "## A run that shows it"
    yield KINDS[run["kind"]].format(**facts | {"description": sentence(run["description"])})
    where = f" [{run['layer']}]" if run["layer"] else ""
    numbers = [f"{name}: {value}" for name, value in run["evidence"].items()]
    lines = [f"{run['severity']}: {run['rule']}{where}", run["cause"], *(f"  {number}" for number in numbers)]
    yield f"```text\n{chr(10).join(lines)}\n```"
    if run["kind"] != "check":
        first, last, steps = run["first_step"], run["last_step"], run["steps"]
        since = "before the first step" if first == 0 else f"step {first}"
        yield f"It held from {since} to step {last} of {steps}." if steps else f"It was seen {since}."


def overview():
    """The list of all rules, by family, for the page of the doctor."""
    parts, about = [], texts()
    for title, family in FAMILIES.items():
        rows = [
            f"| [{name}](rules/{name}.md) | {levels(name)} | {prose(about[name]['means'])} |" for name in ids(family)
        ]
        parts += [f"### {title}", "\n".join(["| rule | severity | |", "|---|---|---|", *rows])]
    names = "\n".join(f"rules/{name}" for family in FAMILIES.values() for name in ids(family))
    return "\n\n".join([*parts, f"```{{toctree}}\n:hidden:\n\n{names}\n```"]) + "\n"


def ids(family):
    """The ids of a family; one that two families share belongs to the first that has it."""
    before = list(FAMILIES.values())[: list(FAMILIES.values()).index(family)]
    known = {rule.id for other in before for rule in other.RULES}
    return sorted({rule.id for rule in family.RULES} - known)


def levels(name):
    found = {rule.severity for rule in RULES[name]}
    return ", ".join(severity for severity in reversed(SEVERITIES) if severity in found)


def code(text):
    return f"```python\n{text.strip()}\n```"


def prose(text):
    """A paragraph on one line."""
    return " ".join(text.split())


def sentence(text):
    """A sentence on one line, with a full stop, and without characters that Markdown would interpret."""
    text = prose(text).rstrip(".")
    for character in "|*_<>":
        text = text.replace(character, f"\\{character}") if "`" not in text else text
    return f"{text}."
