"""`race_animation`: the race of the optimizers as an animation in one HTML page, without a network or a video codec."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import experiment
from keras_lecture.figures._race_script import SCRIPT, STYLE
from keras_lecture.figures.race import LINES


def race_animation(data: Mapping[str, Any] | None = None) -> str:
    """The race as an animation: all optimizers move at once, each as far as the same cost has brought it.

    Use it in a lecture: write it to a file and open it in any browser. It plays, pauses and can be moved by mouse or
    keyboard, follows the light or dark theme of the reader, and lists the results as a table.

    Args:
        data: The data of `experiments.race`. Defaults to `None`: runs it.

    Returns:
        The text of the page: `Path("race.html").write_text(page, encoding="utf-8")`.

    Example:
        >>> data = keras_lecture.figures.experiments.race(surfaces=["ravine"], budget=10)
        >>> page = keras_lecture.figures.race_animation(data)
        >>> page.startswith("<!doctype html>"), "://" in page
        (True, False)

    Reference:
        Decks A and B. `keras_lecture.figures.race` is the same data as a picture.
    """
    data = experiment("race", data, experiments.race, ("surfaces", "runs", "budget"))
    surfaces, optimizers = list(data["runs"]), list(next(iter(data["runs"].values())))
    scene = {
        "budget": data["budget"],
        "surfaces": data["surfaces"],
        "runs": {key: {name: _track(run) for name, run in runs.items()} for key, runs in data["runs"].items()},
        "lines": {name: {"color": LINES[name][0], "dash": _dash(LINES[name][1])} for name in optimizers},
    }
    # A "</" would end the script.
    embedded = json.dumps(scene, allow_nan=False, separators=(",", ":")).replace("</", "<\\/")
    title = f"{len(optimizers)} optimizers on {', '.join(surfaces)}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; img-src data:\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        "<p>Each has come as far as the same cost has brought it, counted in gradient evaluations. "
        "The circle is the start, a star is a minimum.</p>"
        '<div class="controls"><button type="button" id="play">Play</button>'
        f'<label>Cost <input type="range" id="cost" min="0" max="{data["budget"]}" step="0.5" value="0"></label>'
        '<output id="shown" for="cost">0</output></div>'
        f"<fieldset><legend>Optimizers</legend>{''.join(map(_choice, optimizers))}</fieldset>"
        f'<div class="surfaces">{"".join(map(_panel, surfaces, data["surfaces"].values()))}</div>'
        f"{_table(data['runs'], surfaces, optimizers)}</main>"
        f"<script>const scene = {embedded};\n{SCRIPT}</script></body></html>\n"
    )


def _track(run) -> dict[str, Any]:
    """The path of a run with the cost at each point, up to the first point that is not finite."""
    length = next((i for i, point in enumerate(run["path"]) if None in point), len(run["path"]))
    return {"path": run["path"][:length], "cost": run["cost"][:length]}


def _dash(style) -> list[int]:
    """A dash of matplotlib in the pixels of a canvas."""
    return {"-": [], "--": [7, 4], "-.": [7, 3, 2, 3], ":": [2, 3]}[style]


def _choice(name) -> str:
    return (
        f'<label class="choice"><input type="checkbox" data-name="{name}" checked>'
        f'<canvas width="28" height="10" data-line="{name}" aria-hidden="true"></canvas>{name}</label>'
    )


def _panel(name, surface) -> str:
    about = f"Paths of the optimizers on the surface {name}; the table lists the results"
    return (
        f'<figure><figcaption>{name}: <span class="formula">{escape(surface["formula"])}</span></figcaption>'
        f'<canvas data-surface="{name}" role="img" aria-label="{about}"></canvas></figure>'
    )


def _table(runs, surfaces, optimizers) -> str:
    """The cost at which each optimizer has arrived, as a table that needs no picture."""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", *surfaces))
    rows = []
    for name in optimizers:
        arrivals = (runs[surface][name]["arrived"] for surface in surfaces)
        cells = "".join(f"<td>{'–' if cost is None else f'{cost:.0f}'}</td>" for cost in arrivals)
        rows.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    caption = "Cost after which the loss above the minimum stays below a thousandth of the first (–: not in this race)"
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
