"""Writes `llms.txt`, a short index of the documentation for assistants: one line for each page and public name."""

import re
from pathlib import Path

import reference

HEAD = """# keras_lecture

> Training methods for Keras 3 on TensorFlow, PyTorch and JAX: optimizers that evaluate the loss again inside
> `model.fit` (Armijo, L-BFGS, Newton), gradients in the logs, a doctor that names what is wrong with a run, exact
> resuming, and the optimizers, losses, layers, initializers, regularizers, schedules and models of five lectures.

Import each name from its subpackage: `from keras_lecture import losses; losses.L1()`. The backend is Keras's
(`KERAS_BACKEND`). `LBFGS`, `Armijo`, `Newton`, `NewtonCG` and `Nesterov` need `.bind(model)` before `compile`. Saved
models load without `custom_objects` after `import keras_lecture`. The source of a page is `_sources/PAGE.md.txt`.
"""


def text(docs):
    """The index of the Markdown pages in the folder `docs`, and of all public names."""
    pages = sorted(Path(docs).glob("*.md")) + sorted(Path(docs).glob("benchmarks/*.md"))
    titles = {file.relative_to(docs).with_suffix(".html"): title(file) for file in pages}
    parts = [HEAD, "## Pages\n"]
    parts += [f"- [{found}]({page.as_posix()})" for page, found in titles.items() if found]
    public = reference.names()
    for area in reference.AREAS:
        parts.append(f"\n## keras_lecture.{area}\n")
        for path, unit in public.items():
            if path.startswith(f"{area}."):
                parts.append(f"- [{path}](api/{path}.html): {reference.first_line(unit)}")
    return "\n".join(parts) + "\n"


def title(file):
    """The first heading of a page; a file without one is a part of another page."""
    found = re.search(r"^# (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else None


def write(docs):
    (Path(docs) / "llms.txt").write_text(text(docs), encoding="utf-8")
