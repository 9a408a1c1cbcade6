"""Small copies of flipped pictures: upright, without metadata, most important first."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from edge_melanoma.benchmarks.report import page
from edge_melanoma.benchmarks.report.page import SIDE, make_thumbnails, shown_thumbnails
from edge_melanoma.data.lesions import LesionRecord

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
    monkeypatch.setattr(page, "LARGEST_TOTAL", 3 * size + 1)
    assert list(make_thumbnails(records, flips)) == ["a.jpg", "c.jpg"]


def test_nothing_but_embedded_pictures_is_taken_from_a_stored_file() -> None:
    stored = {"a": "data:image/jpeg;base64,AAAA", "b": "https://elsewhere/a.jpg", "c": "x"}
    assert shown_thumbnails(stored) == {"a": "data:image/jpeg;base64,AAAA"}
