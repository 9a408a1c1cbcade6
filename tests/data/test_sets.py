"""Several data sets as one: pictures keep the name of their set, and nothing is read twice."""

from pathlib import Path

import pytest
from made import draw_pictures
from PIL import Image

from edge_melanoma.data.sets import (
    name_external_sets,
    name_folders,
    read_data_sets,
    refuse_training_sets,
)
from edge_melanoma.errors import EdgeMelanomaError


def draw(folder: Path) -> Path:
    for name in ("benign", "malignant"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(folder / name / "1.png")
    return folder


def test_pictures_of_several_sets_are_told_apart_by_name(tmp_path: Path) -> None:
    named = name_folders([draw(tmp_path / "a"), draw(tmp_path / "b")])
    records = read_data_sets(named)
    assert [(record.image_id, record.dataset) for record in records] == [
        ("a:benign/1.png", "a"),
        ("a:malignant/1.png", "a"),
        ("b:benign/1.png", "b"),
        ("b:malignant/1.png", "b"),
    ]


def test_lesions_with_equal_ids_in_two_sets_are_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table = draw(tmp_path / name) / "labels.csv"
        table.write_text(
            "file,label,lesion_id\nbenign/1.png,benign,7\nmalignant/1.png,malignant,\n",
            encoding="utf-8",
        )
    records = read_data_sets(name_folders([tmp_path / "a", tmp_path / "b"]))
    assert [record.lesion_id for record in records] == ["7", None, "7", None]


def test_the_pictures_of_one_set_have_plain_names(tmp_path: Path) -> None:
    records = read_data_sets(name_folders([draw(tmp_path / "a")]))
    assert [(record.image_id, record.dataset) for record in records] == [
        ("benign/1.png", "a"),
        ("malignant/1.png", "a"),
    ]


def test_two_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match="have the same name; rename the folder of one"):
        name_folders([tmp_path / "x" / "set", tmp_path / "y" / "set"])


def test_a_set_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match="given more than once; give it once"):
        name_folders([tmp_path / "set", tmp_path / "set"])


def refuse_external(words: list[str], sentence: str) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        name_external_sets(words)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("word", ["clinic", "=clinic", "clinic="])
def test_an_external_set_needs_a_name_and_a_folder(word: str) -> None:
    refuse_external(
        [word],
        f"--external {word} is not NAME=DIR; expected a name and the folder of a data set, such as "
        "--external clinic=DIR.",
    )


@pytest.mark.parametrize("name", ["a/b", "../a", "a b", ".hidden"])
def test_the_name_of_an_external_set_can_be_that_of_a_file(name: str, tmp_path: Path) -> None:
    refuse_external(
        [f"{name}={tmp_path}"],
        f"--external {name}={tmp_path} has the name '{name}'; expected letters, digits, dots, "
        "dashes and underscores, with a letter or digit first.",
    )


def test_two_external_sets_have_two_names(tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "clinic", 1, 2)
    refuse_external(
        [f"a={folder}", f"a={folder}"],
        "--external names 'a' twice; give each data set a name of its own.",
    )


def test_external_sets_are_looked_into_before_any_work(tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "clinic", 1, 3)
    with pytest.raises(EdgeMelanomaError) as caught:
        name_external_sets([f"a={folder}"])
    assert str(caught.value).startswith(f"There are no malignant images in {folder}; ")


def test_external_sets_are_named_by_the_person(tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "a=b", 1, 2)
    assert name_external_sets([f"clinic={folder}"]) == {"clinic": folder}


def test_a_set_that_is_trained_on_is_not_external(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    with pytest.raises(EdgeMelanomaError) as caught:
        refuse_training_sets({"own": other}, {"own": own})
    assert str(caught.value) == (
        "--external names 'own', which is a data set that is trained on; choose another name."
    )
    with pytest.raises(EdgeMelanomaError) as caught:
        refuse_training_sets({"new": own}, {"own": own})
    assert str(caught.value) == (
        f"--external new={own} is trained on with --data; give a data set from elsewhere."
    )
    refuse_training_sets({"new": other}, {"own": own})


def test_a_lone_set_has_the_name_that_it_is_given_too(tmp_path: Path) -> None:
    records = read_data_sets({"given": draw(tmp_path / "folder")})
    assert [(record.image_id, record.dataset) for record in records] == [
        ("benign/1.png", "given"),
        ("malignant/1.png", "given"),
    ]
