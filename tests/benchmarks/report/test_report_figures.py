"""The figures say in words what they show, and hold no more of a cloud than a picture."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from made import predictions_of

from edge_melanoma.benchmarks.report.figures import (
    INK,
    draw_bland_altman,
    draw_histograms,
    draw_roc_overlay,
    draw_scatter,
    make_figure,
    style_axes,
    to_inline_svg,
)
from edge_melanoma.evaluation.predictions import PredictionSet

BEFORE = predictions_of(malignant=(0.9, 0.8, 0.4), benign=(0.1, 0.2, 0.6))
AFTER = predictions_of(malignant=(0.95, 0.8, 0.35), benign=(0.2, 0.1, 0.66))


def test_the_scatter_says_whose_scores_and_how_many() -> None:
    svg = draw_scatter(BEFORE, AFTER, threshold=0.25, mode="int8", prefix="a")
    assert (
        'aria-label="Scores of int8 over scores of Keras for 6 images; dashed lines at the '
        'threshold 0.250"'
    ) in svg


def test_bland_altman_names_the_mean_difference_and_the_limits_of_agreement() -> None:
    svg = draw_bland_altman(BEFORE, AFTER, threshold=0.25, mode="int8", prefix="a")
    # Differences 0.05, 0, -0.05, 0.1, -0.1, 0.06: mean 0.01, variance 0.028 / 5, 1.96 * 0.074833.
    assert "mean difference +0.0100, 95 % limits of agreement -0.1367 to +0.1567" in svg


def test_histograms_have_the_malignant_images_above() -> None:
    svg = draw_histograms(BEFORE, AFTER, threshold=0.25, mode="int8", prefix="a")
    assert svg.index(">malignant images</text>") < svg.index(">benign images</text>")
    assert "mathdefault" not in svg


def test_the_roc_overlay_names_every_model() -> None:
    models = {"Keras": BEFORE, "float32": BEFORE, "int8": AFTER}
    svg = draw_roc_overlay(models, threshold=0.25, prefix="roc")
    assert 'aria-label="ROC curves of Keras, float32, int8, ' in svg
    for name in models:
        assert f">{name}</text>" in svg


@pytest.mark.parametrize("draw", [draw_scatter, draw_bland_altman])
def test_a_cloud_of_many_images_stays_small(draw: object) -> None:
    random = np.random.default_rng(0)
    many = PredictionSet(
        image_ids=tuple(map(str, range(20_000))),
        labels=np.arange(20_000) % 2 == 0,
        scores=random.random(20_000),
    )
    assert callable(draw)
    # As paths it would be over a megabyte.
    assert len(draw(many, many, threshold=0.5, mode="int8", prefix="a")) < 300_000


LABEL = 'a "figure" <of> $two$ dots'


def drawn(prefix: str) -> str:
    figure = make_figure(3, 2)
    axes = style_axes(figure.subplots())
    (points,) = axes.plot([0, 1], [0, 1], "o", clip_on=True)
    points.set_rasterized(True)
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
