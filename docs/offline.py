"""The built pages are for everybody: nothing in them is loaded from the net, and none names a path of this machine."""

import re
from pathlib import Path

# What a browser fetches by itself; links that a reader may follow are no loads.
LOADS = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc\s*=\s*["'](?:https?:)?//[^"']+
    |<link\b(?=[^>]*\brel\s*=\s*["'][^"']*(?:stylesheet|icon|preload|preconnect|prefetch|font))[^>]*\bhref\s*=\s*["'](?:https?:)?//[^"']+
    |@import\s+(?:url\()?\s*["']?(?:https?:)?//[^"')]+
    |\burl\(\s*["']?(?:https?:)?//[^"')]+""",
    re.VERBOSE | re.IGNORECASE,
)


def loads(text):
    """What the text of a page or a style sheet would load from elsewhere."""
    return [match[0] for match in LOADS.finditer(text)]


def refuse(app, exception):
    """Fails a build with such pages, at its end."""
    if exception or app.builder.format != "html":
        return
    files = [file for kind in ("*.html", "*.css") for file in Path(app.outdir).rglob(kind)]
    texts = {str(file.relative_to(app.outdir)): file.read_text("utf-8") for file in files}
    found = [f"{name} loads {load}" for name, text in texts.items() for load in loads(text)]
    root = str(Path(app.srcdir).parent)
    found += [f"{name} names {root}" for name, text in texts.items() if root in text]
    if found:
        raise RuntimeError("\n".join(["These pages are not for everybody:", *sorted(found)]))
