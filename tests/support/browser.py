"""A headless Chromium, and the checks that every page has to pass: width, contrast, console, network."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys

THEMES, WIDTHS = ("light", "dark"), (375, 768, 1280)
# Contrast of each visible element with a text of its own against what is painted behind it; 4.5 is level AA of
# WCAG 2.2. Translucent colors are blended, and transitions have ended before anything is measured.
CONTRAST = """(() => {
  const numbers = color => color.match(/[\\d.]+/g).map(Number);
  const light = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((c, i) => a * c + (1 - a) * below[i]);
  const behind = node => {
    const colors = [];
    for (; node; node = node.parentElement) {
      const color = numbers(getComputedStyle(node).backgroundColor);
      colors.unshift(color);
      if (color.length < 4 || color[3] === 1) break;
    }
    return colors.reduce((below, color) => over(color, below), [255, 255, 255]);
  };
  document.querySelectorAll("details").forEach(box => box.open = true);
  document.getAnimations().forEach(animation => animation.finish());
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    if (["SCRIPT", "STYLE", "TITLE", "DESC", "title", "desc"].includes(node.tagName)) continue;
    if (!node.checkVisibility()) continue;
    if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
    const style = getComputedStyle(node), ground = behind(node);
    const color = over(numbers(node.tagName === "text" ? style.fill : style.color), ground);
    const [a, b] = [luminance(color), luminance(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${node.tagName}.${node.className} ${ratio.toFixed(2)} ${node.textContent.slice(0, 40)}`);
  }
  return JSON.stringify(low);
})()"""


def started(folder):
    """A browser with its profile in `folder`; ends the program with a sentence where there is no Chromium."""
    command = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if command is None:
        sys.exit("No Chromium was found: install it (`apt-get install chromium`).")
    return Browser(command, folder)


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
        environment = {**os.environ, "HOME": str(folder)}
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

    def resize(self, width, height=900):
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)

    def paint(self, theme):
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def open(self, path, width, theme):
        self.events.clear()
        self.resize(width)
        self.paint(theme)
        self("Page.navigate", url=path.resolve().as_uri())
        self.loaded()

    def loaded(self):
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def excess(self, width):
        """By how many pixels the page is wider than its window of `width` pixels."""
        wide, inner = (self.evaluate(f"document.documentElement.{name}Width") for name in ("scroll", "client"))
        return max(0, wide - min(width, inner))

    def faint(self):
        """The elements whose text has too low a contrast, in all folded parts too."""
        return json.loads(self.evaluate(CONTRAST))

    def noise(self, *allowed):
        """Yields messages on the console, and requests whose address begins with none of `allowed` or `data:`."""
        for event in self.events:
            method, details = event.get("method"), event.get("params", {})
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                yield f"a message on the console: {json.dumps(details)[:300]}"
            elif method == "Network.requestWillBeSent":
                url = details["request"]["url"]
                if not url.startswith(("data:", *allowed)):
                    yield f"a request: {url}"

    def picture(self, path, width):
        self.resize(width, self.evaluate("document.documentElement.scrollHeight"))
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot")["data"]))

    def close(self):
        self("Browser.close")
        self._process.wait(30)
