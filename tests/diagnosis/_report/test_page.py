"""The page, by its source: well-formed, self-contained, escaped, readable without eyes, colors, scripts or a mouse.

`check_page.py` looks at pages in a browser.
"""

import html.parser
import itertools
import math
import re
import time

import pytest
from diagnosis._report.documents import HOSTILE, broken, document, finding, hostile

from keras_lecture.diagnosis._report import palette
from keras_lecture.diagnosis._report.heat import edges_of, level_of
from keras_lecture.diagnosis._report.html import fragment, page
from keras_lecture.diagnosis._report.text import esc, picked, short

pytestmark = pytest.mark.once

VOID = {"meta", "link", "br"}
EMPTY = {"schema": 1, "findings": []}
CLOSED = finding(rule="spike", is_open=False, first_step=10, last_step=30)
LOW = finding(rule="underfit", severity="low", layer=None)
FIXED = {"step": 40, "epoch": 1, "rule": "spike", "layer": None, "kind": "clipping", "text": "Clipped.", "before": None}
DOCUMENTS = {
    "healthy": document(),
    "sick": document(findings=[finding(), LOW, CLOSED], actions=[FIXED | {"after": 1.0, "undone": False}]),
    "broken": broken(),
    "hostile": hostile(),
    "empty": EMPTY,
    "one look": document(looks=1),
    "refused": document(findings=[finding()], untreated=["dead-relu is not treated: its units are mixed."]),
    "many layers": document(300, looks=40, findings=[finding(layer=f"dense_{i}") for i in range(300)]),
}


def test_the_page_says_what_compile_forgets_where_code_compiles():
    compiling = finding(code="model.compile(keras.optimizers.Adam(1e-4), loss=model.loss)")
    assert "forgets metrics" in page(document(findings=[compiling]))
    assert "forgets metrics" not in page(document(findings=[finding()]))
    # What may follow from another finding has no code on the page.
    effect = compiling | {"rule": "slow-learning", "severity": "low"}
    assert "forgets metrics" not in page(document(findings=[finding(), effect]))


def test_labels_that_no_method_learns_follow_from_nothing():
    """A page filed them under what may follow from an underfit, of which they were the cause."""
    labels = finding(rule="unlearnable-labels", severity="low")
    assert "may follow" not in page(document(findings=[finding(), labels]))


class Reader(html.parser.HTMLParser):
    """Reads a page strictly: every element is closed in order, and no attribute occurs twice."""

    def __init__(self, source):
        super().__init__()
        self.open, self.elements, self.text, self.quiet = [], [], [], []
        self.feed(source)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        assert len({name for name, _ in attributes}) == len(attributes), (tag, attributes)
        self.elements.append((tag, dict(attributes), list(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), list(self.open)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.text.append(data)

    def of(self, *tags):
        return [attributes for tag, attributes, _ in self.elements if tag in tags]


@pytest.fixture(params=DOCUMENTS, scope="module")
def written(request):
    return page(DOCUMENTS[request.param])


def test_it_is_well_formed_and_ids_are_unique_and_links_have_targets(written):
    reader = Reader(written)
    ids = [attributes["id"] for _, attributes, _ in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [a["href"] for a in reader.of("a")]
    assert targets and all(target[0] == "#" and target[1:] in ids for target in targets)
    referred = " ".join(a.get("aria-labelledby", "") for _, a, _ in reader.elements).split()
    assert set(referred) <= set(ids)


def test_nothing_is_loaded_from_elsewhere(written):
    reader = Reader(written)
    loading = [
        a[name] for _, a, _ in reader.elements for name in ("src", "srcset", "href", "action", "data") if name in a
    ]
    assert {link for link in loading if link[0] != "#"} == {"data:,"}
    assert "url(" not in written and "@import" not in written and "//" not in written.replace("&#x27;", "")
    policy = next(a["content"] for a in reader.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "'unsafe-inline'" not in policy.split("script-src")[1]


def test_names_are_escaped():
    reader = Reader(page(DOCUMENTS["hostile"], DOCUMENTS["hostile"]))
    assert {tag for tag, _, _ in reader.elements}.isdisjoint({"img", "b", "iframe"})
    assert len(reader.of("script")) == 1
    handlers = [name for _, attributes, _ in reader.elements for name in attributes if name.startswith("on")]
    assert not handlers
    text = "".join(reader.text)
    assert all(name in text for name in HOSTILE[:4])
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e]", text)


def test_headings_have_an_order_and_one_is_the_first(written):
    levels = [int(tag[1]) for tag, _, _ in Reader(written).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_a_screen_reader_finds_landmarks_names_of_charts_and_heads_of_tables(written):
    reader = Reader(written)
    assert {"header", "main", "nav", "footer"} <= {tag for tag, _, _ in reader.elements}
    assert reader.elements[0][1] == {"lang": "en"}
    pictures = [a for tag, a, above in reader.elements if tag == "svg" and "svg" not in above]
    assert all(a.get("aria-hidden") == "true" or (a["role"] == "img" and a["aria-labelledby"]) for a in pictures)
    assert all(a.get("scope") in ("row", "col") for a in reader.of("th"))
    assert len(reader.of("caption")) == len(reader.of("table"))
    regions = [a for a in reader.of("div") if a.get("role") == "region"]
    assert all(a["aria-label"] and a["tabindex"] == "0" for a in regions)


def test_controls_have_names_and_buttons_appear_only_with_scripts(written):
    for attributes in Reader(written).of("button"):
        assert "hidden" in attributes and attributes["type"] == "button"
    assert not re.search(r"<(button|a|summary)[^>]*>\s*</", written)


@pytest.mark.parametrize("colors", [palette.LIGHT, palette.DARK])
def test_contrast_in_both_themes(colors):
    """At least 4.5 for text on both backgrounds, 3 for lines of charts; WCAG 2.2, level AA."""
    lines = {"train", "validation", "logged", "steps"}
    for name in set(colors) - {"page", "raised", "rule"}:
        for ground in ("page", "raised"):
            assert contrast(colors[name], colors[ground]) >= (3 if name in lines else 4.5), (name, ground)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colors_of_heat_maps_are_in_the_order_of_their_lightness(theme):
    values = [luminance(color) for color in palette.HEAT[theme]]
    assert values == sorted(values, reverse=theme == "light")


def test_the_contrast_is_that_of_the_standard():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    low, high = sorted(map(luminance, (a, b)))
    return (high + 0.05) / (low + 0.05)


def test_no_coordinate_is_not_a_number(written):
    coordinates = re.findall(r' (?:d|x|y|x1|x2|y1|y2|cx|cy|viewBox|height)="([^"]*)"', written)
    assert coordinates or 'class="chart"' not in written
    assert not [text for text in coordinates if "nan" in text.lower() or "inf" in text.lower()]


def test_where_the_loss_stops_being_a_number_is_marked_and_said():
    written = page(broken(45))
    assert '<line class="mark bad" x1="56.25%"' in written  # step 45 of 80
    assert "From step 45 on the training loss is not a number" in written
    assert "From step 60 on the gradient is not a number in dense_0, dense_1 and dense_2 (marked with ×)" in written
    assert written.count('class="cell c-bad"') == 4  # two maps and their legends


def test_findings_are_marked_where_they_began_and_ended():
    written = page(DOCUMENTS["sick"])
    assert "finding 1 begins" in written and "finding 3 ends" in written
    rows = re.findall(r"<li><a href=\"#finding-\d\">(.*?)</a> <small>(.*?)</small>", written)
    assert rows == [
        ("1. dead-relu in dense_1", "high, from step 40, to the end"),
        ("2. underfit", "low, from step 40, to the end"),
        ("3. spike in dense_1", "high, from step 10, closed after step 30"),
    ]
    assert 'cx="12.50%"' in written and 'x1="37.50%" x2="37.50%"' in written  # steps 10 and 30 of 80
    assert "clipping for spike" in written and "Clipped." in written


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            {"gradient": lambda i: 10.0 ** (2 * i - 6)},
            "From dense_2 back to dense_0 the gradient falls from 0.01 to 1e-6 at step 80",
        ),
        (
            {"gradient": lambda i: 10.0 ** (-2 * i)},
            "From dense_2 back to dense_0 the gradient grows from 1e-4 to 1 at step 80",
        ),
        ({"gradient": lambda i: float(i > 0)}, "No gradient at all reaches dense_0 from the start (marked with –)"),
        (
            {"gradient": lambda i: 1.0 + i},
            "The gradient lies between 1 (dense_0) and 3 (dense_2) at step 80, a factor of 3.",
        ),
        ({"std": lambda i: 1000.0**i}, "From dense_0 to dense_1 the spread grows from 1 to 1000 at step 80"),
        (
            {"std": lambda i: 0.0},
            "The outputs of dense_0, dense_1 and dense_2 are the same for all samples from the start",
        ),
        ({}, "In step 3 the kernels change by 0.001 of their size; about 1e-3 is usual."),
    ],
)
def test_sentences_say_what_to_see_in_the_maps(facts, sentence):
    assert esc(sentence) in page(document(**facts))


def test_colors_are_borders_of_a_geometric_sequence_that_holds_all_values():
    for low, high in ((1e-30, 1e5), (0.9, 1.1), (1.0, 1.0), (1e-3, 1e-2), (3e-8, 2.0)):
        edges = edges_of([[low, high, 0.0, None, math.nan]])
        assert len(edges) - 1 <= palette.LEVELS
        assert edges[0] <= low * 1.001 and edges[-1] >= high * 0.999
        assert [level_of(v, edges) for v in (0.0, None, math.nan, math.inf)] == ["zero", None, "bad", "bad"]
        assert int(level_of(low, edges)) <= int(level_of(high, edges))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_is_smaller_than_500_kilobytes(name):
    assert len(page(DOCUMENTS[name], DOCUMENTS[name]).encode()) < 500_000


def test_1000_epochs_of_50_layers_are_written_in_two_seconds():
    """The limit is for a free core; a tenth of a second is usual. More looks than `Doctor` keeps."""
    large = document(50, looks=1001, every=5, findings=[finding(layer=f"dense_{i}") for i in range(50)])
    start = time.process_time()
    written = page(large)
    assert time.process_time() - start < 2
    assert len(written.encode()) < 500_000


def test_the_fragment_for_notebooks_is_escaped_and_has_no_style_for_others():
    for facts in DOCUMENTS.values():
        reader = Reader(fragment(facts))
        assert {tag for tag, _, _ in reader.elements} <= {"div", "p", "br", "span", "strong", "code"} | {
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        }
        assert not [name for _, a, _ in reader.elements for name in a if name.startswith("on")]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), ("nan", "nan"), ("inf", "∞"), ("-inf", "−∞"), (0.0, "0"), (1.23456, "1.23"), (1234.5, "1234")]
    + [(2e-8, "2e-8"), (-3.25e7, "-3.2e7"), (0.001, "0.001"), (9999.6, "10000")],
)
def test_short_numbers(value, text):
    assert short(value) == text


def test_indices_are_evenly_spaced_with_both_ends():
    assert picked(3, 5) == [0, 1, 2]
    assert picked(101, 5) == [0, 25, 50, 75, 100]
