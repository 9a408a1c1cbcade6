"""Pictures of one lesion, patient or photograph are kin, whatever the set that they are of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.listing import read_lesions


def make_set(folder: Path, *names: str) -> LesionRecord:
    """Files of no bytes, and the first of them by id as it is read."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return read_lesions(folder)[0]


def are_kin(one: LesionRecord, other: LesionRecord) -> bool:
    return not set(one.kin()).isdisjoint(other.kin())


def picture(dataset: str, name: str = "a.jpg", **told: Any) -> LesionRecord:
    return LesionRecord(
        image_id=f"{dataset}:{name}",
        path=Path(name),
        is_malignant=False,
        dataset=dataset,
        **told,
    )


@pytest.mark.parametrize("field", ["lesion_id", "patient_id", "isic_id", "sha256", "cluster"])
def test_pictures_of_two_sets_that_share_one_thing_are_kin(field: str) -> None:
    one, other = picture("one", **{field: "7"}), picture("other", "b.jpg", **{field: "7"})
    assert are_kin(one, other)
    assert not are_kin(one, picture("other", "b.jpg", **{field: "8"}))


def test_a_lesion_and_a_patient_of_one_number_are_not_kin() -> None:
    assert not are_kin(picture("one", lesion_id="7"), picture("other", patient_id="7"))


def test_files_of_one_name_in_two_sets_are_not_kin() -> None:
    assert not are_kin(picture("one"), picture("other"))


def test_a_column_names_the_same_photograph_in_another_set(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "file,label,in_Melanoma_10605,in_ham10000\n"
        "a.jpg,benign,./train/benign/x.jpg,\n"
        "b.jpg,malignant,,\n",
        encoding="utf-8",
    )
    benign, malignant = read_lesions(tmp_path)
    assert benign.same_as == ("melanoma_10605:train/benign/x.jpg",)
    assert malignant.same_as == ()
    twin = picture("melanoma-10605", "train/benign/x.jpg")
    assert are_kin(benign, twin)
    assert not are_kin(malignant, twin)
    assert not are_kin(benign, picture("ham10000", "train/benign/x.jpg"))


def test_the_twin_of_a_lone_set_is_found_by_its_plain_name(tmp_path: Path) -> None:
    alone = make_set(tmp_path / "My Set", "benign/a:b.jpg", "malignant/b.jpg")
    assert alone.image_id == "benign/a:b.jpg"
    named = replace(alone, image_id=f"My Set:{alone.image_id}")
    assert alone.kin() == named.kin()
    assert are_kin(alone, picture("other", same_as=("my_set:benign/a:b.jpg",)))
