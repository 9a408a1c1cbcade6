"""Several data sets as one: pictures keep the name of their set, and nothing is read twice."""

from pathlib import Path

import pytest
from PIL import Image

from edge_melanoma.data_sets import name_folders, read_data_sets
from edge_melanoma.errors import EdgeMelanomaError


def draw(folder: Path) -> Path:
    for name in ("benign", "malignant"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(folder / name / "1.png")
    return folder


def test_pictures_of_several_sets_are_told_apart_by_name(tmp_path: Path) -> None:
    named = name_folders([draw(tmp_path / "a"), draw(tmp_path / "b")])
    records = read_data_sets(named)
    assert [(record.image_id, record.source) for record in records] == [
        ("a:benign/1.png", "a"),
        ("a:malignant/1.png", "a"),
        ("b:benign/1.png", "b"),
        ("b:malignant/1.png", "b"),
    ]


def test_lesions_with_equal_ids_in_two_sets_are_two(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table = draw(tmp_path / name) / "labels.csv"
        table.write_text(
            "file,label,lesion_id\nbenign/1.png,benign,7\nmalignant/1.png,malignant,\n",
            encoding="utf-8",
        )
    records = read_data_sets(name_folders([tmp_path / "a", tmp_path / "b"]))
    assert [record.lesion_id for record in records] == ["a:7", None, "b:7", None]


def test_the_pictures_of_one_set_have_plain_names(tmp_path: Path) -> None:
    records = read_data_sets(name_folders([draw(tmp_path / "a")]))
    assert [(record.image_id, record.source) for record in records] == [
        ("benign/1.png", None),
        ("malignant/1.png", None),
    ]


def test_two_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match="have the same name; rename the folder of one"):
        name_folders([tmp_path / "x" / "set", tmp_path / "y" / "set"])


def test_a_set_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match="given more than once; give it once"):
        name_folders([tmp_path / "set", tmp_path / "set"])
