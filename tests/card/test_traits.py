"""Traits come from the table where it states them, and from the pixels for every picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_melanoma.card.traits import read_traits, traits_from_table
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import SilentReporter


def record_of(path: Path = Path("a.png"), **attributes: str) -> LesionRecord:
    return LesionRecord(
        image_id=path.name,
        path=path,
        is_malignant=False,
        attributes=tuple(attributes.items()),
    )


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("0.0", "under 30"),
        ("29", "under 30"),
        ("30", "30 to 49"),
        ("49.5", "30 to 49"),
        ("50", "50 to 69"),
        ("70.0", "70 and over"),
        ("130", "70 and over"),
    ],
)
def test_ages_fall_into_bands(age: str, band: str) -> None:
    assert traits_from_table(record_of(age=age, sex="male")) == {"age": band, "sex": "male"}


@pytest.mark.parametrize("age", ["old", "-1", "131", "nan", "inf"])
def test_what_is_no_age_is_refused(age: str) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        traits_from_table(record_of(age=age))
    assert str(caught.value) == (
        f"The labels.csv gives the image a.png the age '{age}'; "
        f"expected years from 0 to 130, or nothing."
    )


def test_what_the_table_does_not_state_is_not_there() -> None:
    assert traits_from_table(record_of()) == {}


def test_every_picture_has_the_traits_of_its_pixels_in_the_order_given(tmp_path: Path) -> None:
    round_field = np.full((224, 224, 3), (235, 200, 180), np.uint8)
    rows, columns = np.ogrid[:224, :224]
    round_field[np.hypot(rows - 111.5, columns - 111.5) > 118] = 3
    for name, pixels in (("round", round_field), ("black", np.zeros_like(round_field))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    records = [record_of(tmp_path / f"{name}.png", site="back") for name in ("round", "black")]
    first, second = read_traits(records, reporter=SilentReporter())
    nothing = {"hair": "not seen", "ruler marks": "not seen", "ink": "not seen"}
    assert first == nothing | {
        "site": "back",
        "skin tone": "very light",
        "dark corners": "seen",
        "blur": "not seen",
    }
    assert second == nothing | {"site": "back", "dark corners": "seen", "blur": "not seen"}
