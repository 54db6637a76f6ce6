"""The built pages are complete: nothing in them is loaded from the net."""

import re
from pathlib import Path

from sphinx.errors import SphinxError

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


def refuse_loads(app, exception):
    """Fails a build whose pages need the net, at its end."""
    if exception or app.builder.format != "html":
        return
    files = [file for kind in ("*.html", "*.css") for file in Path(app.outdir).rglob(kind)]
    found = [f"{file.relative_to(app.outdir)}: {load}" for file in files for load in loads(file.read_text("utf-8"))]
    if found:
        raise SphinxError("These pages load from the net:\n" + "\n".join(sorted(found)))
