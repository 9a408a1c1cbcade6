"""Phantoms are repeatable, well laid out, and not told apart by a mean."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.phantoms import draw_phantom, write_phantoms
from edge_melanoma.errors import EdgeMelanomaError


@pytest.fixture(scope="module")
def mixed_set(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """41 pictures in the default sizes: 20 benign and 21 malignant ones."""
    return write_phantoms(tmp_path_factory.mktemp("mixed") / "phantoms", count=41)


def picture_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def auc(*, malignant: NDArray[np.float64], benign: NDArray[np.float64]) -> float:
    """The share of pairs in which the malignant picture has the larger value."""
    ranks = np.argsort(np.argsort(np.concatenate([malignant, benign]))) + 1
    wins = ranks[: len(malignant)].sum() - len(malignant) * (len(malignant) + 1) / 2
    return float(wins / (len(malignant) * len(benign)))


def lesion_redness(pixels: NDArray[np.uint8]) -> float:
    """The red share of the light from the disc that most lesions fill."""
    rows, columns = np.indices(pixels.shape[:2])
    height, width = pixels.shape[:2]
    is_middle = np.hypot(rows - height / 2, columns - width / 2) < 0.35 * min(height, width) / 2
    red, green, blue = pixels[is_middle].mean(axis=0).tolist()
    return float(red / (red + green + blue))


def test_same_arguments_give_the_same_pixels() -> None:
    first = draw_phantom(is_malignant=True, seed=7)

    assert np.array_equal(first, draw_phantom(is_malignant=True, seed=7))


def test_another_seed_or_class_gives_other_pixels() -> None:
    first = draw_phantom(is_malignant=True, seed=7)

    assert not np.array_equal(first, draw_phantom(is_malignant=True, seed=8))
    assert not np.array_equal(first, draw_phantom(is_malignant=False, seed=7))


@pytest.mark.parametrize(("width", "height"), [(224, 224), (320, 240), (256, 384), (32, 32)])
def test_a_phantom_has_the_size_that_was_asked_for(width: int, height: int) -> None:
    pixels = draw_phantom(is_malignant=False, seed=1, width=width, height=height)

    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8


def test_mean_brightness_and_redness_do_not_separate_the_classes() -> None:
    malignant = [draw_phantom(is_malignant=True, seed=seed) for seed in range(100)]
    benign = [draw_phantom(is_malignant=False, seed=seed) for seed in range(100)]

    for statistic in (np.mean, lesion_redness):
        measured = auc(
            malignant=np.array([statistic(pixels) for pixels in malignant]),
            benign=np.array([statistic(pixels) for pixels in benign]),
        )
        # With 100 of each class the AUC of a useless statistic deviates by 0.04: 0.2 is five times.
        assert 0.3 < measured < 0.7, f"{statistic.__name__} has an AUC of {measured:.3f}"


def test_an_odd_count_gives_one_more_malignant_picture(mixed_set: tuple[Path, ...]) -> None:
    assert Counter(path.parent.name for path in mixed_set) == {"benign": 20, "malignant": 21}


def test_files_are_named_after_class_and_number(mixed_set: tuple[Path, ...]) -> None:
    folder = mixed_set[0].parent.parent
    names = [path.relative_to(folder).as_posix() for path in mixed_set]

    assert names[:2] == ["benign/phantom_benign_00000.png", "benign/phantom_benign_00001.jpg"]
    assert names[-1] == "malignant/phantom_malignant_00020.png"


def test_the_folder_holds_the_pictures_and_a_readme_only(mixed_set: tuple[Path, ...]) -> None:
    folder = mixed_set[0].parent.parent

    assert {path for path in folder.rglob("*") if path.is_file()} == {
        *mixed_set,
        folder / "README.txt",
    }
    assert "they are not photographs" in (folder / "README.txt").read_text(encoding="utf-8")


def test_a_fifth_of_the_pictures_of_each_class_have_other_sizes(
    mixed_set: tuple[Path, ...],
) -> None:
    for name in ("benign", "malignant"):
        sizes = Counter(picture_size(path) for path in mixed_set if path.parent.name == name)
        del sizes[224, 224]
        assert sizes == {(300, 300): 1, (320, 240): 1, (256, 384): 1, (200, 200): 1}


def test_a_given_size_holds_for_all_pictures(tmp_path: Path) -> None:
    paths = write_phantoms(tmp_path, count=12, size=48)

    assert {picture_size(path) for path in paths} == {(48, 48)}


def test_formats_are_what_the_names_say(mixed_set: tuple[Path, ...]) -> None:
    formats = {".png": "PNG", ".jpg": "JPEG"}
    for path in mixed_set:
        with Image.open(path) as image:
            assert image.format == formats[path.suffix]


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    first = write_phantoms(tmp_path / "first", count=6, seed=3, size=32)
    second = write_phantoms(tmp_path / "second", count=6, seed=3, size=32)
    other = write_phantoms(tmp_path / "other", count=6, seed=4, size=32)

    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert not {path.read_bytes() for path in first} & {path.read_bytes() for path in other}


@pytest.mark.parametrize(
    ("count", "seed", "size", "sentence"),
    [
        (1, 0, None, "Phantoms need a count of at least 2, one for each class, but it is 1."),
        (2, -1, None, "The seed of phantoms must be 0 or more, but it is -1."),
        (2, 0, 31, "Phantoms need a size of at least 32 pixels, but it is 31."),
    ],
)
def test_too_small_a_number_is_refused_before_anything_is_written(
    tmp_path: Path, count: int, seed: int, size: int | None, sentence: str
) -> None:
    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(sentence)}$"):
        write_phantoms(tmp_path / "new", count=count, seed=seed, size=size)

    assert not (tmp_path / "new").exists()


def test_a_folder_with_files_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")
    sentence = (
        f"{tmp_path} already contains files; choose a new or an empty folder for the phantoms."
    )

    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(sentence)}$"):
        write_phantoms(tmp_path, count=2)

    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep", encoding="utf-8")
    sentence = f"{tmp_path / 'mine'} is a file; choose a new or an empty folder for the phantoms."

    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(sentence)}$"):
        write_phantoms(tmp_path / "mine", count=2)
