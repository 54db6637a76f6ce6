"""Opens every page of the documentation in a headless Chromium and checks it.

python tests/docs/check_site.py [--only PART …] [--pictures folder]

For each page: nothing on the console, no request to the network, no link to a page, file or section that does not
exist, no picture that does not load, no horizontal scrolling in windows of 375, 768 and 1280 pixels, and a contrast of
at least 4.5 for every text, in the light and in the dark theme. Then it searches for a name in the search field. It
needs a build and the command `chromium`, so it is no test of the suite: `make docs-check` builds the pages and runs it.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

# Run by its path, as the Makefile does, the script finds no package `support`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.browser import THEMES, WIDTHS, started  # noqa: E402

HTML = Path(__file__).resolve().parents[2] / "docs/_build/html"
SEARCHED = "Lookahead"
# Absolute addresses of what the page links or shows, its sections, and the pictures that did not load.
CONTENTS = """JSON.stringify({
  links: [...document.querySelectorAll("a[href]")].map(a => a.href),
  sections: [...document.querySelectorAll("[id]")].map(node => node.id),
  lost: [...document.images].filter(image => image.loading !== "lazy" && !image.naturalWidth).map(image => image.src),
})"""
# The search runs in the page; it tells in its summary that it has ended.
SEARCH = """(async () => {
  for (let i = 0; i < 100; i++) {
    const found = [...document.querySelectorAll("#search-results li a")].map(a => a.href);
    if (found.length) return JSON.stringify(found);
    await new Promise(done => setTimeout(done, 100));
  }
  return "[]";
})()"""


def faults(browser, page, contents):
    """Yields a sentence for each fault of the page that the page alone shows; adds its links to `contents`."""
    root = HTML.resolve().as_uri()
    browser.open(page, WIDTHS[-1], THEMES[0])
    contents[page.resolve()] = found = json.loads(browser.evaluate(CONTENTS))
    yield from (f"picture not found: {source}" for source in found["lost"])
    for width in WIDTHS:
        browser.resize(width)
        if excess := browser.excess(width):
            yield f"{width} pixels: the page is {excess} pixels too wide: {browser.evaluate(widest(width))}"
    for theme in THEMES:
        browser.paint(theme)
        yield from (f"{theme}: contrast below 4.5: {node}" for node in browser.faint())
    yield from browser.noise(root)


def widest(width):
    """JavaScript for the element that makes the page too wide: the last one that ends beyond the window."""
    return f"""(() => {{
      const all = [...document.querySelectorAll("body *")];
      const node = all.filter(node => node.getBoundingClientRect().right > {width}).at(-1);
      return node ? `${{node.tagName}}.${{node.className}} ${{node.textContent.slice(0, 40)}}` : "";
    }})()"""


def broken(contents):
    """Yields `(page, sentence)` for every link to a file or section that does not exist."""
    sections = {page: set(found["sections"]) for page, found in contents.items()}
    for page, found in contents.items():
        for link in sorted(set(found["links"])):
            address, section = urldefrag(link)
            if urlparse(address).scheme != "file":
                continue
            target = Path(unquote(urlparse(address).path))
            if not target.is_file():
                yield page, f"broken link: {link}"
            elif section and target in sections and unquote(section) not in sections[target]:
                yield page, f"no such section: {link}"


def search(browser, page, word):
    """Yields the faults of a search that is typed into the field of a page."""
    browser.open(page, WIDTHS[-1], THEMES[0])
    browser.events.clear()
    browser.evaluate("document.querySelector('input[name=q]').focus()")
    browser("Input.insertText", text=word)
    browser.evaluate("document.querySelector('input[name=q]').form.requestSubmit()")
    browser.loaded()
    found = json.loads(browser.evaluate(SEARCH))
    if not any(f"{word}.html" in address for address in found):
        yield f"the search for {word} found {found[:5]}"
    yield from browser.noise(HTML.resolve().as_uri())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[""], help="parts of the paths of the pages")
    parser.add_argument("--pictures", type=Path, help="a folder for screenshots of the pages")
    options = parser.parse_args()
    pages = [page for page in sorted(HTML.rglob("*.html")) if any(part in str(page) for part in options.only)]
    if not pages:
        sys.exit(f"No pages in {HTML}: build them by `make docs`.")
    told, contents = Counter(), {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        browser = started(name)
        for page in pages:
            tell(page, faults(browser, page, contents), told)
            if options.pictures is not None:
                pictures(browser, page, options.pictures)
        tell(HTML / "search.html", search(browser, HTML / "index.html", SEARCHED), told)
        browser.close()
    for page, sentence in broken(contents):
        tell(page, [sentence], told)
    for sentence, count in told.items():
        if count > 1:
            print(f"on {count} pages: {sentence}")
    print(f"{len(pages)} pages, {told.total() or 'no'} faults")
    sys.exit(min(told.total(), 1))


def tell(page, sentences, told):
    """Prints the faults of a page that no page before it had, and counts all of them in `told`."""
    for sentence in dict.fromkeys(sentences):
        told[sentence] += 1
        if told[sentence] == 1:
            print(f"{page.resolve().relative_to(HTML.resolve())}: {sentence}", flush=True)


def pictures(browser, page, folder):
    """Screenshots of the page in both themes, of a desktop and of a phone."""
    folder.mkdir(exist_ok=True, parents=True)
    for theme in THEMES:
        for width in (WIDTHS[0], WIDTHS[-1]):
            browser.open(page, width, theme)
            browser.picture(folder / f"{page.stem}.{theme}.{width}.png", width)


if __name__ == "__main__":
    main()
