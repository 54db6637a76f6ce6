"""Opens report pages in a headless Chromium and checks them.

python tests/diagnosis/check_page.py run.json … [--compare other.json] [--pictures folder]

Without files it trains a small model. For each page, in both themes: no message on the console, no request but that of
the page, contrast of at least 4.5 for every text as the browser computes it, no horizontal scrolling of the page in
windows of 375, 768 and 1280 pixels, and the tab key reaches every control. It needs the command `chromium`, so it is no
test of the suite: `make page-check` runs it. The suite checks the source of the page (`_report/test_page.py`).
"""

import argparse
import base64
import sys
import tempfile
from pathlib import Path

# Run by its path, as the Makefile does, the script finds no package `support`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.browser import THEMES, WIDTHS, started  # noqa: E402

# The controls that a reader can see, numbered; the element that has the focus shows its number.
CONTROLS = """(() => {
  const all = [...document.querySelectorAll("a[href], button, summary, [tabindex='0']")];
  const seen = all.filter(node => node.checkVisibility() && !node.hidden);
  seen.forEach((node, index) => node.dataset.control = index);
  return seen.length;
})()"""


def failures(browser, path):
    """Yields a sentence for each fault of the page."""
    for theme in THEMES:
        for width in WIDTHS:
            browser.open(path, width, theme)
            if excess := browser.excess(width):
                yield f"{theme}, {width} pixels: the page is {excess} pixels too wide"
        yield from (f"{theme}: contrast below 4.5: {node}" for node in browser.faint())
        if excess := browser.excess(width):
            yield f"{theme}, unfolded: the page is {excess} pixels too wide"
        browser.evaluate("document.getElementById('theme').click()")
        yield from (f"{theme}, switched: contrast below 4.5: {node}" for node in browser.faint())
        yield from (f"{theme}: {event}" for event in browser.noise(path.resolve().as_uri()))
    browser.open(path, 375, "light")
    yield from _unreached(browser)
    yield from _copying(browser)


def _unreached(browser):
    count, reached = browser.evaluate(CONTROLS), []
    for _ in range(count + 5):
        for kind in ("keyDown", "keyUp"):
            browser("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(browser.evaluate("document.activeElement.dataset.control"))
    numbers = [int(number) for number in reached if number is not None]
    missed = sorted(set(range(count)) - set(numbers))
    names = (
        browser.evaluate(f"document.querySelector('[data-control=\"{n}\"]').outerHTML.slice(0, 90)") for n in missed
    )
    yield from (f"the tab key does not reach {name}" for name in names)
    first = numbers[:count]
    if first != sorted(first):
        yield f"the tab key does not follow the order of the page: {first}"


def _copying(browser):
    """The first button must say that it copied; a click by script has no permission, so that it copies by selection."""
    if browser.evaluate("document.querySelectorAll('.copy').length"):
        browser.evaluate("document.querySelector('.copy').click()")
        browser.evaluate("new Promise(done => setTimeout(done, 200))")
        if browser.evaluate("document.querySelector('.copy').textContent") == "Copy":
            yield "the button to copy does nothing"


def trained(folder):
    """The page of a small run with findings, and with names that are no HTML."""
    import keras
    import numpy as np

    from keras_lecture.callbacks import Doctor

    x = np.random.default_rng(0).normal(size=(64, 4))
    layers = [keras.layers.Dense(8, "sigmoid", name=f"<b>dense {index}") for index in range(6)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    doctor = Doctor(verbose=0)
    model.fit(x, x[:, 0] > 0, validation_split=0.25, epochs=4, verbose=0, callbacks=[doctor])
    doctor.save(folder / "run.json")
    return [folder / "run.json"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()

    from keras_lecture.diagnosis import report

    total = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, browser = Path(name), started(name)
        for file in options.files or trained(folder):
            page = folder / f"{file.stem}.html"
            report(file, page, compare=options.compare)
            found = list(failures(browser, page))
            total += len(found)
            print(f"{file.name}: {len(found) or 'no'} faults", *found[:20], sep="\n  ")
            if options.pictures is not None:
                pictures(browser, page, options.pictures)
        browser.close()
    sys.exit(min(total, 1))


def pictures(browser, page, folder):
    """Screenshots in both themes, of a desktop and of a phone, and the printed page."""
    folder.mkdir(exist_ok=True, parents=True)
    for theme in THEMES:
        for width in (375, 1100):
            browser.open(page, width, theme)
            browser.picture(folder / f"{page.stem}.{theme}.{width}.png", width)
    printed = browser("Page.printToPDF", printBackground=True)["data"]
    (folder / f"{page.stem}.pdf").write_bytes(base64.b64decode(printed))


if __name__ == "__main__":
    main()
