"""The bar chart of `speed.md`, drawn from the page's own table when the docs are built."""

import re
from pathlib import Path

from matplotlib.figure import Figure

COLORS = {"native code": "#8a8f98", "Keras": "#c2543f"}
OFFSETS = {"native code": 0.2, "Keras": -0.2}
NUMBER = {"va": "center", "fontsize": 7, "bbox": {"color": "white", "pad": 0.5}}


def rows(page):
    """`[(network, backend, {"native code": ratio, "Keras": ratio}), …]` of the table."""
    lines = re.findall(r"^\| (.+?) \| (\w+) \| [\d.]+ \| (\S+) \| (\S+) \|$", page, re.M)
    return [
        (network, backend, {name: float(cell) for name, cell in zip(COLORS, cells, strict=True) if cell != "–"})
        for network, backend, *cells in lines
    ]


def draw(page, target):
    """Horizontal bars in the order of the table; a line at 1 stands for ours."""
    table = rows(Path(page).read_text(encoding="utf-8"))
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots()
    labels, before = [], None
    height = 0.0
    for network, backend, ratios in table:
        height -= 1.0 if network == before else 1.5
        before = network
        labels.append((height, f"{network}, {backend}"))
        for name, ratio in ratios.items():
            y = height + OFFSETS[name]
            axes.barh(y, ratio, 0.38, color=COLORS[name])
            axes.text(ratio + 0.03, y, f"{ratio:.2f}", **NUMBER)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(*zip(*labels, strict=True), fontsize=8)
    axes.set_xlabel("time of a step relative to ours")
    axes.set_xlim(0.0, 2.4)
    axes.spines[["top", "right"]].set_visible(False)
    for name, color in COLORS.items():
        axes.barh(0, 0, color=color, label=name)
    axes.set_ylim(height - 0.8, -0.8)
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)
