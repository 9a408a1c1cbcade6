"""Each file is decoded once; a cache knows it by its bytes, whatever its name.

Pictures that cannot be used are named and left out, and too many of them stop the work.
"""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from copied_lesions import noise
from PIL import Image

from edge_melanoma.data import screening
from edge_melanoma.data.images import decode_image
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import (
    BadImage,
    Fingerprints,
    leave_out_bad,
    read_fingerprints,
    screen_images,
)
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.terminal import SilentReporter, TerminalReporter


def picture(seed: int, file_format: str = "PNG") -> bytes:
    """Noise, so that the file is long enough to be cut."""
    stream = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, file_format)
    return stream.getvalue()


def write_files(folder: Path, contents: dict[str, bytes]) -> tuple[LesionRecord, ...]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return tuple(
        LesionRecord(image_id=name, path=folder / name, is_malignant=False) for name in contents
    )


def good_pictures(count: int) -> dict[str, bytes]:
    return {f"good{number:02}.png": picture(number) for number in range(count)}


def test_readable_pictures_keep_their_order_and_get_the_hash_of_their_bytes(
    tmp_path: Path,
) -> None:
    contents = dict(reversed(good_pictures(5).items())) | {"z.jpg": picture(9, "JPEG")}
    found = screen_images(write_files(tmp_path, contents))
    assert found.bad == ()
    assert {record.image_id: record.sha256 for record in found.readable} == {
        name: hashlib.sha256(content).hexdigest() for name, content in contents.items()
    }
    assert [record.image_id for record in found.readable] == list(contents)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("truncated.jpg", picture(0, "JPEG")[:-200]),
        ("truncated.png", picture(0)[:-200]),
        ("headless.png", picture(0)[100:]),
        ("text.jpg", b"This is no picture."),
        ("empty.png", b""),
    ],
)
def test_a_broken_file_among_twenty_is_left_out(tmp_path: Path, name: str, content: bytes) -> None:
    records = write_files(tmp_path, {"a.png": picture(1), name: content} | good_pictures(18))
    found = screen_images(records)
    assert [image.image_id for image in found.bad] == [name]
    readable = [record.image_id for record in found.readable]
    assert readable == ["a.png", *good_pictures(18)]


def test_the_reason_is_a_sentence_that_names_the_file(tmp_path: Path) -> None:
    broken = {"cut.png": picture(0)[:-200], "empty.jpg": b""}
    missing = LesionRecord(image_id="m", path=tmp_path / "m.png", is_malignant=True)
    records = (*write_files(tmp_path, good_pictures(57) | broken), missing)
    assert screen_images(records).bad == (
        BadImage(
            image_id="cut.png",
            reason=f"The image {tmp_path / 'cut.png'} is truncated or broken: "
            "image file is truncated.",
        ),
        BadImage(image_id="empty.jpg", reason=f"The image {tmp_path / 'empty.jpg'} is empty."),
        BadImage(
            image_id="m",
            reason=f"The image {tmp_path / 'm.png'} is missing or is not a regular file.",
        ),
    )


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = write_files(tmp_path, good_pictures(19) | {"empty.jpg": b""})
    screen_images(records, reporter=TerminalReporter())
    assert capsys.readouterr().err == (
        f"Going on without 1 unreadable image: The image {tmp_path / 'empty.jpg'} is empty.\n"
    )


def test_nothing_is_said_when_all_pictures_are_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screen_images(write_files(tmp_path, good_pictures(2)), reporter=TerminalReporter())
    assert capsys.readouterr().err == ""


def test_one_in_nineteen_is_too_many(tmp_path: Path) -> None:
    records = write_files(tmp_path, good_pictures(18) | {"empty.jpg": b""})
    with pytest.raises(EdgeMelanomaError) as caught:
        screen_images(records)
    assert str(caught.value) == (
        "1 of 19 images cannot be used, more than 5%; mend or remove them first: "
        f"1 unreadable image: The image {tmp_path / 'empty.jpg'} is empty."
    )


def test_three_examples_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    records = write_files(tmp_path, {f"{letter}.jpg": b"" for letter in "abcde"})
    with pytest.raises(EdgeMelanomaError) as caught:
        screen_images(records)
    shown = " ".join(f"The image {tmp_path / name}.jpg is empty." for name in "abc")
    assert str(caught.value) == (
        "5 of 5 images cannot be used, more than 5%; mend or remove them first: "
        f"5 unreadable images: {shown} (and 2 more)"
    )


def test_three_bad_images_are_all_shown(capsys: pytest.CaptureFixture[str]) -> None:
    bad = tuple(BadImage(image_id=name, reason=f"{name} is bad.") for name in "xyz")
    leave_out_bad(bad, total=60, reporter=TerminalReporter())
    shown = "3 unreadable images: x is bad. y is bad. z is bad."
    assert capsys.readouterr().err == f"Going on without {shown}\n"


def fingerprint(folder: Path, *names: str, cache: Path | None = None) -> Fingerprints:
    records = [
        LesionRecord(image_id=name, path=folder / name, is_malignant=False) for name in names
    ]
    return read_fingerprints(records, cache_folder=cache, reporter=SilentReporter())


def test_records_get_the_hash_of_their_bytes_and_pictures_that_of_their_pixels(
    tmp_path: Path,
) -> None:
    noise(0).save(tmp_path / "a.png")
    noise(0).save(tmp_path / "a.bmp")
    noise(1).save(tmp_path / "b.png")
    prints = fingerprint(tmp_path, "a.png", "a.bmp", "b.png")
    expected = [sha256_of((tmp_path / name).read_bytes()) for name in ("a.png", "a.bmp", "b.png")]
    assert [record.sha256 for record in prints.readable] == expected
    assert prints.pixels[0] == prints.pixels[1] != prints.pixels[2]
    assert prints.thumbnails[:].shape == (3, 48, 48, 3)
    assert prints.statistics.shape == (3, 13)


def test_any_number_of_bad_files_is_passed_over(tmp_path: Path) -> None:
    noise(0).save(tmp_path / "good.png")
    (tmp_path / "empty.png").touch()
    prints = fingerprint(tmp_path, "empty.png", "good.png")
    assert [bad.image_id for bad in prints.bad] == ["empty.png"]
    assert [record.image_id for record in prints.readable] == ["good.png"]
    assert len(prints.pixels) == len(prints.thumbnails) == 1


def test_only_new_files_are_decoded_when_there_is_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    noise(0).save(tmp_path / "a.png")
    first = fingerprint(tmp_path, "a.png", cache=cache)
    (tmp_path / "renamed.png").write_bytes((tmp_path / "a.png").read_bytes())
    noise(1).save(tmp_path / "b.png")
    decoded: list[str] = []

    def spy(data: bytes, *, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        decoded.append(Path(name).name)
        return decode_image(data, name=name)

    monkeypatch.setattr(screening, "decode_image", spy)
    second = fingerprint(tmp_path, "renamed.png", "b.png", cache=cache)
    assert decoded == ["b.png"]
    assert second.pixels[0] == first.pixels[0]
    np.testing.assert_array_equal(second.thumbnails[:1], first.thumbnails[:])
    np.testing.assert_array_equal(second.statistics[0], first.statistics[0])


def test_a_cache_file_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    noise(0).save(tmp_path / "a.png")
    first = fingerprint(tmp_path, "a.png", cache=cache)
    (kept,) = cache.rglob("rows")
    kept.write_bytes(kept.read_bytes()[:-1])
    again = fingerprint(tmp_path, "a.png", cache=cache)
    assert again.pixels == first.pixels
