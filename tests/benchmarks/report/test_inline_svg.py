"""Figures inside a page: in its colour, with a name, with ids of their own, twice the same."""

import re
from xml.etree import ElementTree

from edge_melanoma.benchmarks.report.figures import (
    INK,
    as_picture,
    make_figure,
    style_axes,
    to_inline_svg,
)

LABEL = 'a "figure" <of> $two$ dots'


def drawn(prefix: str) -> str:
    figure = make_figure(3, 2)
    axes = style_axes(figure.subplots())
    (points,) = axes.plot([0, 1], [0, 1], "o", clip_on=True)
    as_picture(points)
    axes.plot([0, 1], [1, 0])
    axes.set_title("a$b <c>")
    return to_inline_svg(figure, prefix=prefix, description=LABEL)


def test_the_figure_is_one_named_element_without_a_size() -> None:
    svg = drawn("one")
    root = ElementTree.fromstring(svg)
    assert svg.startswith("<svg ")
    assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", LABEL)
    assert root.attrib["viewBox"] == "0 0 216 144"
    assert not {"width", "height"} & set(root.attrib)


def test_lines_and_text_take_the_colour_of_the_page() -> None:
    svg = drawn("one")
    assert "currentColor" in svg
    assert INK not in svg
    assert "#ffffff" not in svg


def test_ids_of_two_figures_are_apart_and_every_link_leads_somewhere() -> None:
    first, second = drawn("one"), drawn("two")
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, second)]
    assert not ids[0] & ids[1]
    links = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', first)
    assert links
    assert {one or other for one, other in links} <= ids[0]


def test_a_figure_is_the_same_every_time() -> None:
    assert drawn("one") == drawn("one")


def test_titles_are_text_and_not_formulas() -> None:
    assert "a$b &lt;c&gt;</text>" in drawn("one")
