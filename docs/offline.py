"""Checks that the built pages work offline and contain no path of the machine they were built on."""

import re
from pathlib import Path

# References that a browser fetches automatically. Ordinary links are allowed.
LOADS = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc\s*=\s*["'](?:https?:)?//[^"']+
    |<link\b(?=[^>]*\brel\s*=\s*["'][^"']*(?:stylesheet|icon|preload|preconnect|prefetch|font))[^>]*\bhref\s*=\s*["'](?:https?:)?//[^"']+
    |@import\s+(?:url\()?\s*["']?(?:https?:)?//[^"')]+
    |\burl\(\s*["']?(?:https?:)?//[^"')]+""",
    re.VERBOSE | re.IGNORECASE,
)


def loads(text):
    """The references to other hosts that a page or style sheet would load."""
    return [match[0] for match in LOADS.finditer(text)]


def refuse(app, exception):
    """Fails the build, after it has finished, if a page loads from another host or names a local path."""
    if exception or app.builder.format != "html":
        return
    files = [file for kind in ("*.html", "*.css") for file in Path(app.outdir).rglob(kind)]
    texts = {str(file.relative_to(app.outdir)): file.read_text("utf-8") for file in files}
    found = [f"{name} loads {load}" for name, text in texts.items() for load in loads(text)]
    root = str(Path(app.srcdir).parent)
    found += [f"{name} names {root}" for name, text in texts.items() if root in text]
    if found:
        raise RuntimeError("\n".join(["These pages must work offline and on any machine:", *sorted(found)]))
