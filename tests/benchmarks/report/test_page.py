"""The page: it loads nothing, runs nothing of a file's name, and can be read by a screen reader."""

import base64
import io
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity_reports import report_of
from PIL import ExifTags, Image

from edge_melanoma.benchmarks.parity.contract import ParityContract
from edge_melanoma.benchmarks.parity.verdict import ParityReport
from edge_melanoma.benchmarks.report import page as page_module
from edge_melanoma.benchmarks.report.page import (
    ROWS_A_KIND,
    SIDE,
    make_thumbnails,
    refuse_older,
    render_report,
    shown_thumbnails,
)
from edge_melanoma.benchmarks.report.text import TEMPLATES, describe_answer
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet

NASTY = "malignant/<img src=x onerror=alert(1)>\"'.jpg"
URI = "data:image/jpeg;base64," + base64.b64encode(b"a picture").decode()


def scores_of(*malignant: float, benign: tuple[float, ...]) -> PredictionSet:
    ids = (NASTY, *(f"malignant/{number}.jpg" for number in range(1, len(malignant))))
    ids += tuple(f"benign/{number}.jpg" for number in range(len(benign)))
    return PredictionSet(
        image_ids=ids,
        labels=np.arange(len(ids)) < len(malignant),
        scores=np.array([*malignant, *benign]),
    )


BEFORE = scores_of(0.75, 0.9, 0.4, benign=(0.1, 0.6, 0.2))
AFTER = scores_of(0.25, 0.9, 0.6, benign=(0.7, 0.3, 0.2))


def page_of(
    report: ParityReport, *, thumbnails: dict[str, str] | None = None, after: PredictionSet = AFTER
) -> str:
    scores = {"keras": BEFORE, "int8": after}
    return render_report(report.as_dict(), scores, thumbnails or {NASTY: URI})


@pytest.fixture(scope="module")
def page() -> str:
    return page_of(report_of(BEFORE, AFTER, name="<b>set</b>"))


class Elements(HTMLParser):
    """The start tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag in tags]


def test_nothing_of_a_files_name_becomes_an_element(page: str) -> None:
    elements = Elements(page)
    assert not any("onerror" in attributes for _, attributes in elements.found)
    assert elements.named("script", "iframe", "object", "embed", "link", "base", "form") == []
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<b>set" not in page


def test_nothing_is_loaded_and_the_page_forbids_it(page: str) -> None:
    elements = Elements(page)
    policies = [m for m in elements.named("meta") if m.get("http-equiv")]
    assert [policy["content"] for policy in policies] == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    ]
    sources = [image["src"] or "" for image in elements.named("img")]
    links = [str(a.get("xlink:href") or a.get("href")) for a in elements.named("a", "use", "image")]
    assert all(link.startswith(("#", "data:image/")) for link in sources + links)
    # What the namespaces of SVG are called is never fetched.
    addresses = set(re.findall(r"https?://[^\"' )<]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_pictures_and_figures_have_words_and_tables_have_headers(page: str) -> None:
    elements = Elements(page)
    assert all(image["alt"] for image in elements.named("img"))
    figures = elements.named("svg")
    assert len(figures) == 5
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in figures)
    tags = Counter(tag for tag, _ in elements.found)
    assert tags["table"] == tags["caption"] == tags["thead"] >= 5
    assert {header["scope"] for header in elements.named("th")} == {"col", "row"}
    assert [a["lang"] for a in elements.named("html")] == ["en"]
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_id_is_there_once(page: str) -> None:
    ids = Counter(str(a["id"]) for _, a in Elements(page).found if "id" in a)
    assert [name for name, count in ids.items() if count > 1] == []


def test_lost_malignant_pictures_stand_first_with_scores_distances_and_integers(page: str) -> None:
    titles = re.findall(r"<h4>(.*?)</h4>", page)
    assert titles == [
        "Lost malignant: 1",
        "Gained malignant: 1",
        "New false alarm: 1",
        "Cleared false alarm: 1",
    ]
    assert "0.7500 (+0.2500), integer 64" in page
    assert "0.2500 (-0.2500), integer -64" in page
    assert page.count(URI) == 1


def test_a_verdict_is_said_in_words(page: str) -> None:
    told = '<p class="verdict inconclusive"><strong>Inconclusive: int8; 2 of 3 checks open</strong>'
    assert told in page
    loose = ParityContract(max_recall_drop=1, max_accuracy_drop=1)
    kept = page_of(report_of(BEFORE, BEFORE, contract=loose), after=BEFORE)
    assert '"verdict pass"><strong>Pass: 3 checks of 1 exported models</strong>' in kept
    assert "<p>No malignant picture is lost.</p>" in kept
    failing = page_of(report_of(BEFORE, AFTER, contract=ParityContract(max_lost_malignant=0)))
    assert "<p><strong>int8</strong> fails: malignant pictures lost: 1, at most 0 allowed.</p>" in (
        failing
    )


def test_the_page_begins_with_the_answer(page: str) -> None:
    parity = report_of(BEFORE, AFTER, name="<b>set</b>").as_dict()
    first, *others = (
        line.strip().replace(">", "&gt;") for line in describe_answer(parity, width=1000)
    )
    lines = [f'<div class="file">{first}</div>', *(f"<div>{line}</div>" for line in others)]
    assert "\n".join(["</h1>", '<div class="answer">', *lines, "</div>"]) in page


def test_tables_scroll_inside_themselves(page: str) -> None:
    assert page.count("<table>") == page.count('tabindex="0">\n<table>') >= 5
    assert ".scroll { overflow-x: auto;" in page


def test_many_flips_are_cut_and_counted() -> None:
    many = ROWS_A_KIND + 7
    before = scores_of(*(0.9,) * many, benign=(0.1,))
    after = scores_of(*(0.1,) * many, benign=(0.1,))
    text = render_report(report_of(before, after).as_dict(), {"keras": before, "int8": after}, {})
    assert text.count("<li>") == ROWS_A_KIND
    assert "<p>7 more stand in parity.json.</p>" in text


def test_a_picture_from_elsewhere_is_not_shown() -> None:
    text = page_of(report_of(BEFORE, AFTER), thumbnails={NASTY: "https://elsewhere/a.jpg"})
    assert "elsewhere" not in text


def test_no_path_of_this_machine_is_told(page: str) -> None:
    assert str(Path.home()) not in page
    assert str(Path.cwd()) not in page


def test_scores_of_other_images_are_refused() -> None:
    other = scores_of(0.25, 0.9, benign=(0.7, 0.3, 0.2))
    with pytest.raises(EdgeMelanomaError) as caught:
        page_of(report_of(BEFORE, AFTER), after=other)
    assert str(caught.value) == (
        "The two prediction sets are of different images; score both models on the same ones."
    )


def test_a_report_of_an_older_version_is_refused() -> None:
    parity = report_of(BEFORE, AFTER).as_dict()
    del parity["candidates"][0]["inconclusive"]
    with pytest.raises(EdgeMelanomaError) as caught:
        refuse_older(parity)
    assert str(caught.value) == (
        "The parity.json lacks what the page shows, as an older version wrote it; make it anew "
        "with: edge-melanoma bench"
    )


def test_text_stands_out_from_its_ground_in_light_and_dark() -> None:
    css = (TEMPLATES / "report.css").read_text()
    schemes = re.findall(r":root \{([^}]*--ink[^}]*)\}", css)
    assert len(schemes) == 3  # light, dark, print
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w+)", scheme))
        for ground in ("ground", "soft"):
            for ink in {"ink", "quiet", "good", "bad", "link"} & set(colours):
                # WCAG 2.2, level AA, for text of any size.
                assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground, scheme)


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    levels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


SECRET = b"taken by somebody"


def record(folder: Path, name: str) -> LesionRecord:
    """A picture that is white above and black below, lying on its side, with EXIF data."""
    path = folder / name
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:, :20] = 255  # left half; turned by 90 degrees clockwise it is the upper one
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = SECRET.decode()
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return LesionRecord(image_id=name, path=path, is_malignant=True)


def flip(name: str, kind: str = "lost_malignant") -> dict[str, str]:
    return {"image_id": name, "kind": kind}


def flipped(*images: dict[str, str]) -> dict[str, Any]:
    """A candidate of parity.json."""
    return {"flip_details": list(images)}


def test_a_thumbnail_is_upright_small_and_without_metadata(tmp_path: Path) -> None:
    made = make_thumbnails([record(tmp_path, "a.jpg")], [flipped(flip("a.jpg"))])
    data = base64.b64decode(made["a.jpg"].removeprefix("data:image/jpeg;base64,"))
    assert SECRET in (tmp_path / "a.jpg").read_bytes()
    assert SECRET not in data
    with Image.open(io.BytesIO(data)) as image:
        assert (image.size, dict(image.getexif())) == ((SIDE, SIDE), {})
        pixels = np.asarray(image)
    assert pixels[:40].mean() > 240
    assert pixels[-40:].mean() < 15


def test_pictures_that_did_not_flip_are_not_read(tmp_path: Path) -> None:
    missing = LesionRecord(image_id="b.jpg", path=tmp_path / "b.jpg", is_malignant=False)
    made = make_thumbnails(
        [record(tmp_path, "a.jpg"), missing], [flipped(flip("a.jpg")), flipped()]
    )
    assert list(made) == ["a.jpg"]


def test_room_goes_to_lost_malignant_pictures_of_all_candidates_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [record(tmp_path, name) for name in ("a.jpg", "b.jpg", "c.jpg")]
    flips = [
        flipped(flip("a.jpg"), flip("b.jpg", "new_false_alarm")),
        flipped(flip("a.jpg"), flip("c.jpg")),
    ]
    (size,) = {len(uri) for uri in make_thumbnails(records, flips).values()}
    # a.jpg is shown twice: three of four places fit.
    monkeypatch.setattr(page_module, "LARGEST_TOTAL", 3 * size + 1)
    assert list(make_thumbnails(records, flips)) == ["a.jpg", "c.jpg"]


def test_nothing_but_embedded_pictures_is_taken_from_a_stored_file() -> None:
    stored = {"a": "data:image/jpeg;base64,AAAA", "b": "https://elsewhere/a.jpg", "c": "x"}
    assert shown_thumbnails(stored) == {"a": "data:image/jpeg;base64,AAAA"}
