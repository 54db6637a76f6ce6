"""Comments, docstrings and pages are in plain English: a banned word fails with its line and a replacement."""

import ast
import io
import re
import tokenize

import pytest
from support.house import PACKAGE

pytestmark = pytest.mark.once

ROOT = PACKAGE.parent
# Expression → replacement. A blank also matches a line break; capitalized expressions are case-sensitive.
BANNED = {
    r"anew": "again; recompute, rebuild, retrace",
    r"once more": "again",
    r"of late": "recent",
    r"(no|some)body('s)?": "the caller, the observer, the optimizer: name it",
    r"who(so)?ever('s)?": "the caller, the observer, the optimizer: name it",
    r"those who": "name them",
    r"end to end|lies? together|lying together": "concatenated, flat",
    r"so many [^.:;]{0,60}?\bas": "as many … as; the number of …",
    r"wherefrom": "from which",
    r"thereof": "of it; name it",
    # A question may begin like this.
    r"What (is|are|has|have|was|were)(?![^.]*\?)": "the noun: the state, the shape, the moving statistics",
    r"Those (that|which|who)": "the noun",
}
PATTERNS = {
    re.compile(
        rf"(?<!\w)({expression})(?!\w)".replace(" ", r"\s+"), 0 if expression[0].isupper() else re.IGNORECASE
    ): replacement
    for expression, replacement in BANNED.items()
}
DOCS = ("*.md", "*.py", "rules/*.toml")
AREAS = {
    "keras_lecture": sorted(PACKAGE.rglob("*.py")),
    "tests": sorted((ROOT / "tests").rglob("*.py")),
    "docs": [ROOT / "README.md", *(file for kind in DOCS for file in sorted((ROOT / "docs").glob(kind)))],
    "examples": sorted((ROOT / "examples").rglob("*.py")),
    "guide": sorted((ROOT / "guide").rglob("*.py")),
}


def docstrings(source):
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node) is not None:
            yield node.body[0].lineno, node.body[0].value.value


def comments(source):
    """Yields each block of comments in consecutive lines, because a sentence may continue in the next line."""
    start, lines = 0, []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if lines and token.start[0] != start + len(lines):
                yield start, "\n".join(lines)
                lines = []
            start = start if lines else token.start[0]
            lines.append(token.string.lstrip("#"))
    yield start, "\n".join(lines)


def outside_of_fences(page):
    """The page with empty lines in place of code blocks."""
    kept, fence = [], None
    for line in page.splitlines():
        mark = re.match(r"\s*(`{3,}|~{3,})", line)
        closes = fence and mark and mark[1].startswith(fence)
        kept.append("" if fence or mark else line)
        fence = None if closes else fence or (mark and mark[1])
    yield 1, "\n".join(kept)


def banned_words(text):
    """Yields the number of lines before each banned word, the word, and its replacement."""
    # Names in backticks are not prose.
    text = re.sub(r"`[^`\n]+`", "`name`", text)
    for pattern, replacement in PATTERNS.items():
        for match in pattern.finditer(text):
            yield text[: match.start()].count("\n"), " ".join(match[0].split()), replacement


def failures(path):
    source = path.read_text(encoding="utf-8")
    texts = outside_of_fences(source) if path.suffix in (".md", ".toml") else [*docstrings(source), *comments(source)]
    for start, text in texts:
        for line, word, replacement in banned_words(text):
            yield f"{path.relative_to(ROOT)}:{start + line}: {word!r}: write {replacement}"


@pytest.mark.parametrize("area", AREAS)
def test_the_prose_is_plain_english(area):
    found = [failure for path in AREAS[area] for failure in failures(path)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("prose", "found"),
    [
        ("Nobody asks; it is drawn\nanew.", [(0, "Nobody"), (1, "anew")]),
        ("What is saved\nwith the model.", [(0, "What is")]),
        ("What is saved with the model?", []),
        ("The gradients lie\n  together.", [(0, "lie together")]),
        ("There are so many\nnumbers as weights.", [(0, "so many numbers as")]),
        ("It renewed the body of `anew`.", []),
    ],
)
def test_banned_words_are_found_across_line_breaks(prose, found):
    assert sorted((line, word) for line, word, _ in banned_words(prose)) == found
