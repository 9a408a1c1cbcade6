"""Figures are PNGs that show the numbers they were given, and are the same each time."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made import predictions_of
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.figures import (
    draw_class_distribution,
    draw_confusion_matrices,
    draw_precision_recall_curves,
    draw_reliability,
    draw_roc_curves,
    draw_sample_sheet,
    draw_training_curves,
    operating_shares,
)

Draw = Callable[[Path, float], Path]


# At 0.5: three of four melanomas are called, and one of five benign pictures.
NINE = predictions_of(malignant=(0.9, 0.8, 0.6, 0.2), benign=(0.7, 0.4, 0.3, 0.2, 0.1))
SIDES = {"test": NINE}
METRICS = ("recall", "loss", "accuracy", "auc")


def history(*stages: str, recall: float) -> list[dict[str, float | int | str]]:
    shares = {f"{side}{name}": recall for side in ("", "val_") for name in METRICS}
    return [{"stage": stage, **shares} for stage in stages]


def grey(value: int) -> NDArray[np.uint8]:
    return np.full((4, 4, 3), value, dtype=np.uint8)


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


# Each draws its figure from one number, so that two numbers must give two figures.
DRAWINGS: dict[str, Draw] = {
    "confusion": lambda path, x: draw_confusion_matrices(SIDES, path, threshold=x, dataset="nine"),
    "roc": lambda path, x: draw_roc_curves(SIDES, path, threshold=x, dataset="nine"),
    "precision recall": lambda path, x: draw_precision_recall_curves(
        SIDES, path, threshold=x, dataset="nine"
    ),
    "reliability": lambda path, x: draw_reliability(
        {"keras": NINE, "int8": predictions_of(malignant=(x, 0.9), benign=(0.3, x / 2))},
        path,
        dataset="nine",
    ),
    "training": lambda path, x: draw_training_curves(
        history("head", "head", "top", recall=x), path, title="partial"
    ),
    "classes": lambda path, x: draw_class_distribution(
        {"train": (int(10 * x), 5)}, path, dataset="nine"
    ),
    "samples": lambda path, x: draw_sample_sheet(
        {"benign": [grey(int(255 * x))], "malignant": []}, path, title="nine"
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_other_numbers_give_another_figure(name: str, tmp_path: Path) -> None:
    first, second = (DRAWINGS[name](tmp_path / f"{x}.png", x) for x in (0.5, 0.75))
    assert first == tmp_path / "0.5.png"
    assert not np.array_equal(pixels_of(first), pixels_of(second))


def test_the_same_numbers_give_the_same_bytes_without_a_software_name(tmp_path: Path) -> None:
    draw = DRAWINGS["classes"]
    first, again = draw(tmp_path / "first.png", 0.5), draw(tmp_path / "again.png", 0.5)
    assert first.read_bytes() == again.read_bytes()
    assert b"matplotlib" not in first.read_bytes().lower()


def test_each_side_has_a_confusion_matrix_of_its_own(tmp_path: Path) -> None:
    widths = []
    for sides in (SIDES, {"validation": NINE, "test": NINE}):
        path = draw_confusion_matrices(sides, tmp_path / "c.png", threshold=0.5, dataset="nine")
        widths.append(pixels_of(path).shape[1])
    assert widths[1] == 2 * widths[0]


def test_four_times_as_many_pictures_make_a_bar_four_times_as_high(tmp_path: Path) -> None:
    path = draw_class_distribution({"all": (10, 40)}, tmp_path / "classes.png", dataset="fifty")
    pixels = pixels_of(path)
    heights = []
    for colour in ([0x00, 0x72, 0xB2], [0xD5, 0x5E, 0x00]):
        columns = (pixels == colour).all(axis=2).sum(axis=0)
        # The median, because the legend's patch lies above some columns of a bar.
        heights.append(float(np.median(columns[columns > 0])))
    # The axis hides and smoothing tints at most two dots at each end of a bar.
    assert heights[1] == pytest.approx(4 * heights[0], rel=0, abs=4 * 4 + 4)
    assert heights[0] > 50


def test_sample_sheets_show_the_first_eight_pictures_of_a_row(tmp_path: Path) -> None:
    eight = [grey(100 + number) for number in range(8)]
    ninth = [*eight, grey(50)]
    first = draw_sample_sheet({"benign": eight}, tmp_path / "eight.png", title="samples")
    second = draw_sample_sheet({"benign": ninth}, tmp_path / "nine.png", title="samples")
    assert first.read_bytes() == second.read_bytes()
    shown = pixels_of(first).reshape(-1, 3)
    for number in range(8):
        # A picture of one colour fills its cell: at 120 dots an inch that is over 100x100 dots.
        assert (shown == 100 + number).all(axis=1).sum() > 10_000


def test_the_operating_point_is_the_false_alarm_rate_recall_and_precision() -> None:
    assert operating_shares(NINE, threshold=0.5) == (1 / 5, 3 / 4, 3 / 4)
    assert operating_shares(NINE, threshold=0.15) == (4 / 5, 4 / 4, 4 / 8)


def test_precision_has_no_point_where_nothing_is_called_malignant() -> None:
    alarm, recall, precision = operating_shares(NINE, threshold=0.95)
    assert (alarm, recall) == (0.0, 0.0)
    assert math.isnan(precision)


@pytest.mark.parametrize("draw", [draw_roc_curves, draw_precision_recall_curves])
@pytest.mark.parametrize(("malignant", "benign"), [((0.1, 0.9), ()), ((), (0.1, 0.9))])
def test_a_curve_of_one_class_is_refused_and_not_drawn(
    draw: Callable[..., Path],
    malignant: tuple[float, ...],
    benign: tuple[float, ...],
    tmp_path: Path,
) -> None:
    sides = {"train": NINE, "test": predictions_of(malignant=malignant, benign=benign)}
    with pytest.raises(EdgeMelanomaError) as caught:
        draw(sides, tmp_path / "curve.png", threshold=0.5, dataset="two")
    assert str(caught.value) == (
        "The test side has images of one class only; a curve needs both classes."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_with_dollar_signs_in_its_name_is_drawn(tmp_path: Path) -> None:
    path = draw_class_distribution({"test": (3, 4)}, tmp_path / "c.png", dataset="a$^$b")
    assert path.stat().st_size > 1000


def test_names_in_a_figure_are_text(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    from edge_melanoma.benchmarks.report.figures import to_inline_svg
    from edge_melanoma.evaluation.figures import save_figure

    figure = Figure()
    figure.suptitle("$x_$ \x1b[31m\u202e stray \udcff 黒 \\frac")
    assert save_figure(figure, tmp_path / "a.png").is_file()
    svg = to_inline_svg(figure, prefix="a", description="\x1b[31m")
    assert "\\x1b[31m\\u202e stray \\udcff" in svg
    assert not {"\x1b", "\u202e"} & {*svg}
