"""The layers of the model of a run, as a table: what a reader must know of it who has only the page."""

from typing import Any

from keras_lecture.diagnosis._record.record import number
from keras_lecture.diagnosis._report.document import Document
from keras_lecture.diagnosis._report.markup import table
from keras_lecture.diagnosis._report.summary import counted
from keras_lecture.diagnosis._report.text import esc, picked, short

_MOST = 100


def model_section(document: Document) -> str:
    """A row for each leaf layer in call order, as it was before training."""
    layers = (document.get("model") or {}).get("layers") or []
    if not layers:
        return "<p>The model was not measured.</p>"
    rows = [_row(layers[index]) for index in picked(len(layers), _MOST)]
    rest = len(layers) - len(rows)
    left_out = f"<p><small>{counted(rest, 'layer')} more in the JSON file.</small></p>" if rest else ""
    head = ("Layer", "Class", "Output of a sample", "Weights", "Kernel, root mean square", "Settings")
    return table("Before the first step", head, rows) + left_out


def _row(layer):
    weights = layer.get("weights") or []
    kernel = next((weight for weight in weights if weight.get("role") == "kernel"), {})
    count = sum(weight.get("size") or 0 for weight in weights)
    shape = " × ".join("?" if size is None else str(size) for size in layer.get("shape") or [1])
    cells = (layer["name"], layer.get("class") or "–", shape, f"{count:,}" if count else "–")
    return [*map(esc, cells), short(kernel.get("rms")), esc("; ".join(_settings(layer, weights)) or "–")]


def _settings(layer: dict[str, Any], weights: list[dict[str, Any]]) -> list[str]:
    found = []
    if layer.get("activation") not in (None, "linear"):
        found.append(str(layer["activation"]))
    if number(layer.get("rate")):
        found.append(f"rate {short(layer['rate'])}")
    for penalty in layer.get("penalties") or []:
        factors = " and ".join(short(value) for value in penalty["factors"].values())
        place = "outputs" if penalty["on"] == "activity" else penalty["on"]
        found.append(" ".join(word for word in (penalty["class"], factors, f"on the {place}") if word))
    if layer.get("use_bias") is False:
        found.append("no bias")
    if weights and not any(weight.get("trainable") for weight in weights):
        found.append("frozen")
    if any(weight.get("role") == "kernel" and weight.get("equal_units") for weight in weights):
        found.append("all units have equal weights")
    if (layer.get("calls") or 1) > 1:
        found.append(f"called {layer['calls']} times")
    return found
