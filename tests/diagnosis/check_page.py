"""Opens report pages in a headless Chromium and checks them.

python tests/diagnosis/check_page.py run.json … [--compare other.json] [--pictures folder]

Without files it trains a small model. For each page, in both themes: no message on the console, no request but that of
the page, contrast of at least 4.5 for every text as the browser computes it, no horizontal scrolling of the page in
windows of 375, 768 and 1280 pixels, and the tab key reaches every control. It needs the command `chromium`, so it is no
test of the suite: `make page-check` runs it. The suite checks the source of the page (`_report/test_page.py`).
"""

import argparse
import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

THEMES, WIDTHS = ("light", "dark"), (375, 768, 1280)
# Contrast of each element with a text of its own against the nearest opaque background; 4.5 is level AA of WCAG 2.2.
CONTRAST = """(() => {
  const numbers = color => color.match(/[\\d.]+/g).map(Number);
  const light = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const color = numbers(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  document.querySelectorAll("details").forEach(box => box.open = true);
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    if (["SCRIPT", "STYLE", "TITLE", "DESC", "title", "desc"].includes(node.tagName)) continue;
    if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
    const style = getComputedStyle(node);
    const color = numbers(node.tagName === "text" ? style.fill : style.color);
    const [a, b] = [luminance(color), luminance(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${node.tagName} ${ratio.toFixed(2)} ${node.textContent.slice(0, 40)}`);
  }
  return JSON.stringify(low);
})()"""
# The controls that a reader can see, numbered; the element that has the focus shows its number.
CONTROLS = """(() => {
  const all = [...document.querySelectorAll("a[href], button, summary, [tabindex='0']")];
  const seen = all.filter(node => node.checkVisibility() && !node.hidden);
  seen.forEach((node, index) => node.dataset.control = index);
  return seen.length;
})()"""


class Browser:
    """A Chromium that is steered by its DevTools protocol over two pipes."""

    def __init__(self, command, folder):
        (read, self._write), (self._read, write) = os.pipe(), os.pipe()
        read, write = (fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (read, write))

        def connect():
            os.dup2(read, 3)
            os.dup2(write, 4)

        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe",
            f"--user-data-dir={folder}",
        ]
        environment = {**os.environ, "HOME": folder}
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
        self._process = subprocess.Popen([command, *options], pass_fds=(3, 4), preexec_fn=connect, **silent)
        self._rest, self._count, self.events, self._session = b"", 0, [], None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method, **arguments):
        self._count += 1
        message = {"id": self._count, "method": method, "params": arguments}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _next(self):
        while b"\0" not in self._rest:
            part = os.read(self._read, 65536)
            if not part:
                raise RuntimeError("Chromium has ended.")
            self._rest += part
        line, self._rest = self._rest.split(b"\0", 1)
        return json.loads(line)

    def evaluate(self, expression):
        answer = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def open(self, path, width, theme):
        self.events.clear()
        self("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def picture(self, path, width):
        height = self.evaluate("document.documentElement.scrollHeight")
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot")["data"]))

    def close(self):
        self("Browser.close")
        self._process.wait(30)


def failures(browser, path):
    """Yields a sentence for each fault of the page."""
    for theme in THEMES:
        for width in WIDTHS:
            browser.open(path, width, theme)
            wide = browser.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                yield f"{theme}, {width} pixels: the page is {wide} pixels wide"
        yield from (f"{theme}: contrast below 4.5: {node}" for node in json.loads(browser.evaluate(CONTRAST)))
        wide = browser.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            yield f"{theme}, unfolded: the page is {wide} pixels wide"
        browser.evaluate("document.getElementById('theme').click()")
        yield from (f"{theme}, switched: contrast below 4.5: {node}" for node in json.loads(browser.evaluate(CONTRAST)))
        yield from (f"{theme}: {event}" for event in _noise(browser, path))
    browser.open(path, 375, "light")
    yield from _unreached(browser)
    yield from _copying(browser)


def _noise(browser, path):
    for event in browser.events:
        method, details = event.get("method"), event.get("params", {})
        if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            yield f"a message on the console: {json.dumps(details)[:300]}"
        elif method == "Network.requestWillBeSent":
            url = details["request"]["url"]
            if url != path.resolve().as_uri() and not url.startswith("data:"):
                yield f"a request: {url}"


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
    command = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if command is None:
        sys.exit("check_page: no Chromium was found: install it (`apt-get install chromium`).")

    from keras_lecture.diagnosis import report

    total = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, browser = Path(name), Browser(command, name)
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
