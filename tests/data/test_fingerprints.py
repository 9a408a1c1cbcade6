"""Each file is decoded once; a cache knows it by its bytes, whatever its name."""

from pathlib import Path

import numpy as np
import pytest
from copied_lesions import noise

from edge_melanoma.data import screening
from edge_melanoma.data.images import decode_image
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import BadImage, Fingerprints, read_fingerprints
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.terminal import SilentReporter


def read(folder: Path, *names: str, cache: Path | None = None) -> Fingerprints:
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
    prints = read(tmp_path, "a.png", "a.bmp", "b.png")
    expected = [sha256_of((tmp_path / name).read_bytes()) for name in ("a.png", "a.bmp", "b.png")]
    assert [record.sha256 for record in prints.records] == expected
    assert prints.pixels[0] == prints.pixels[1] != prints.pixels[2]
    assert prints.thumbnails[:].shape == (3, 48, 48, 3)
    assert prints.statistics.shape == (3, 13)


def test_bad_files_are_named_relative_to_their_set_and_passed_over(tmp_path: Path) -> None:
    noise(0).save(tmp_path / "good.png")
    (tmp_path / "empty.png").touch()
    prints = read(tmp_path, "empty.png", "good.png")
    assert prints.bad == (BadImage(image_id="empty.png", reason="The image empty.png is empty."),)
    assert [record.image_id for record in prints.records] == ["good.png"]
    assert len(prints.pixels) == len(prints.thumbnails) == 1


def test_only_new_files_are_decoded_when_there_is_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    noise(0).save(tmp_path / "a.png")
    first = read(tmp_path, "a.png", cache=cache)
    (tmp_path / "renamed.png").write_bytes((tmp_path / "a.png").read_bytes())
    noise(1).save(tmp_path / "b.png")
    decoded: list[str] = []

    def spy(data: bytes, *, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        decoded.append(Path(name).name)
        return decode_image(data, name=name)

    monkeypatch.setattr(screening, "decode_image", spy)
    second = read(tmp_path, "renamed.png", "b.png", cache=cache)
    assert decoded == ["b.png"]
    assert second.pixels[0] == first.pixels[0]
    np.testing.assert_array_equal(second.thumbnails[:1], first.thumbnails[:])
    np.testing.assert_array_equal(second.statistics[0], first.statistics[0])


def test_a_cache_file_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    noise(0).save(tmp_path / "a.png")
    first = read(tmp_path, "a.png", cache=cache)
    (kept,) = cache.rglob("*.npy")
    kept.write_bytes(kept.read_bytes()[:-1])
    again = read(tmp_path, "a.png", cache=cache)
    assert again.pixels == first.pixels
