"""The colors of a page, light and dark.

Text and marks have a contrast of at least 4.5 on `page` and `raised`, lines of charts at least 3; no color is the only
carrier of a meaning. `heat` is ordered from the smallest to the largest value.
"""

LIGHT = {
    "page": "#ffffff",
    "raised": "#f5f6f7",
    "ink": "#1b1f24",
    "soft": "#57606a",
    "rule": "#d6dbe0",
    "link": "#0b5cad",
    "high": "#b3261e",
    "medium": "#8a5300",
    "low": "#57606a",
    "healthy": "#1a6e37",
    "train": "#0b5cad",
    "validation": "#b2480a",
    "logged": "#7a4bb0",
    "steps": "#808a95",
}
DARK = {
    "page": "#14171a",
    "raised": "#1d2126",
    "ink": "#e6e8ea",
    "soft": "#a5adb6",
    "rule": "#383f46",
    "link": "#7ab7ff",
    "high": "#ff8f86",
    "medium": "#f0b84a",
    "low": "#a5adb6",
    "healthy": "#6fd08c",
    "train": "#7ab7ff",
    "validation": "#ffab6b",
    "logged": "#c9a6ff",
    "steps": "#7d8792",
}
_HEAT = ("#fdfbd0", "#d5eeb3", "#a4dcb6", "#62c2bf", "#30a3c2", "#1f7ab5", "#24509e", "#1a2a6c")
HEAT = {"light": _HEAT, "dark": _HEAT[::-1]}
LEVELS = len(_HEAT)


def variables() -> str:
    """The style rules that define the colors: by the setting of the system, by the page's switch, and on paper."""
    light, dark = _block(LIGHT, HEAT["light"]), _block(DARK, HEAT["dark"])
    return (
        f":root{{color-scheme:light;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}"
    )


def _block(colors, heat):
    named = [*colors.items(), *((f"heat{index}", color) for index, color in enumerate(heat))]
    return "".join(f"--{name}:{color};" for name, color in named)
