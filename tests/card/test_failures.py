"""The worst errors come first, and a sheet shows pixels, scores and names, nothing else."""

from pathlib import Path

import numpy as np
import pytest
from made import predictions_of
from PIL import Image

from edge_melanoma.card.failures import (
    FailedCase,
    Failure,
    draw_failure_sheet,
    worst_failures,
)

# At 0.5: malignant 1 and 3 are missed, benign 4, 6 and 7 are false alarms.
NINE = predictions_of(malignant=(0.9, 0.4, 0.5, 0.1), benign=(0.6, 0.2, 0.95, 0.5, 0.3))


def case_of(grey: int, *, heat: float) -> FailedCase:
    return FailedCase(
        image_id=f"benign/{grey}.jpg",
        score=grey / 255,
        picture=np.full((16, 16, 3), grey, np.uint8),
        heat=np.full((16, 16), heat, np.float32),
    )


@pytest.mark.parametrize(
    ("kind", "places"), [(Failure.MISS, [3, 1]), (Failure.FALSE_ALARM, [6, 4, 7])]
)
def test_the_error_furthest_from_right_comes_first(kind: Failure, places: list[int]) -> None:
    assert worst_failures(NINE, kind=kind, threshold=0.5) == places


def test_a_picture_is_shown_plain_and_under_its_heat(tmp_path: Path) -> None:
    path = draw_failure_sheet([case_of(128, heat=1.0)], tmp_path / "sheet.png", title="one miss")
    with Image.open(path) as image:
        shown = np.asarray(image.convert("RGB")).reshape(-1, 3)
    plain, reds = (shown == 128).all(axis=1), shown[:, 0] > shown[:, 2] + 20
    assert plain.sum() > 10_000
    assert reds.sum() > 10_000  # turbo is red at 1


def test_more_cases_make_more_rows_and_other_cases_another_file(tmp_path: Path) -> None:
    sheets = [
        draw_failure_sheet(
            [case_of(100 + n, heat=heat) for n in range(count)], tmp_path / name, title="misses"
        )
        for name, count, heat in (("a.png", 1, 0.5), ("b.png", 5, 0.5), ("c.png", 1, 0.6))
    ]
    heights = []
    for sheet in sheets:
        with Image.open(sheet) as image:
            heights.append(image.height)
    assert heights[1] > heights[0] == heights[2]
    assert sheets[0].read_bytes() != sheets[2].read_bytes()


def test_a_sheet_holds_no_metadata(tmp_path: Path) -> None:
    path = draw_failure_sheet([case_of(90, heat=0.1)], tmp_path / "sheet.png", title="one")
    with Image.open(path) as image:
        assert set(image.info) <= {"dpi"}
        assert not image.getexif()
    assert str(tmp_path).encode() not in path.read_bytes()
