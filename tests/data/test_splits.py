"""Splits keep shares, seeds and given test folders, and nothing stands on two sides."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.splits import (
    Components,
    DatasetSplit,
    SplitKind,
    split_lesions,
    split_to_json,
)
from edge_melanoma.errors import EdgeMelanomaError


def record(
    image_id: str,
    *,
    is_malignant: bool,
    lesion_id: str | None = None,
    sha256: str | None = None,
    cluster: str | None = None,
) -> LesionRecord:
    """A picture with bytes of its own, in the side that its path begins with."""
    side = image_id.split("/")[0]
    return LesionRecord(
        image_id=image_id,
        path=Path(image_id),
        is_malignant=is_malignant,
        lesion_id=lesion_id,
        side=side if side in {"train", "test"} else None,
        sha256=sha256 or f"bytes of {image_id}",
        cluster=cluster,
    )


def records_of(*, benign: int, malignant: int, folder: str = "all") -> list[LesionRecord]:
    return [
        record(f"{folder}/{name}/{number:03}.png", is_malignant=name == "malignant")
        for name, count in (("benign", benign), ("malignant", malignant))
        for number in range(count)
    ]


def classes(records: tuple[LesionRecord, ...]) -> tuple[int, int]:
    """Benign and malignant pictures, counted anew."""
    counts = Counter(record.is_malignant for record in records)
    return counts[False], counts[True]


def side_of(split: DatasetSplit) -> dict[str, str]:
    return {record.image_id: side for side, records in split.sides().items() for record in records}


def test_pooled_sides_have_70_15_and_15_percent_of_each_class() -> None:
    split = split_lesions(records_of(benign=200, malignant=40))
    counts = {side: classes(records) for side, records in split.sides().items()}
    assert counts == {"train": (140, 28), "validation": (30, 6), "test": (30, 6)}


def test_four_pictures_of_each_class_give_both_classes_on_each_side() -> None:
    sides = split_lesions(records_of(benign=4, malignant=4)).sides()
    assert [classes(records) for records in sides.values()] == [(2, 2), (1, 1), (1, 1)]


def test_each_picture_stands_on_exactly_one_side() -> None:
    records = records_of(benign=31, malignant=17)
    split = split_lesions(records, seed=5)
    drawn = [*split.train, *split.validation, *split.test]
    assert sorted(record.image_id for record in drawn) == sorted(r.image_id for r in records)


def test_the_seed_alone_decides_the_sides_in_whatever_order_the_pictures_come() -> None:
    records = records_of(benign=20, malignant=20)
    assert split_lesions(records, seed=3) == split_lesions(records[::-1], seed=3)
    assert split_lesions(records, seed=3).test != split_lesions(records, seed=4).test


def test_seed_0_draws_the_sides_that_it_always_drew() -> None:
    split = split_lesions(records_of(benign=8, malignant=8), seed=0)
    assert [picture.image_id for picture in (*split.validation, *split.test)] == [
        "all/benign/000.png",
        "all/malignant/000.png",
        "all/benign/005.png",
        "all/malignant/006.png",
    ]


@pytest.mark.parametrize("seed", range(5))
def test_pictures_of_one_lesion_are_never_on_two_sides(seed: int) -> None:
    records = [
        replace(picture, lesion_id=f"lesion {picture.is_malignant} {number % 30}")
        for number, picture in enumerate(records_of(benign=90, malignant=90))
    ]
    sides = side_of(split_lesions(records, seed=seed))
    pairs = {(picture.lesion_id, sides[picture.image_id]) for picture in records}
    assert len(pairs) == 60


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_one_file_are_never_on_two_sides(seed: int) -> None:
    records = records_of(benign=40, malignant=40)
    copies = [replace(picture, image_id=f"copy/{picture.image_id}") for picture in records]
    sides = side_of(split_lesions([*records, *copies], seed=seed))
    assert all(sides[picture.image_id] == sides[f"copy/{picture.image_id}"] for picture in records)


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_ties_its_lesion_to_another(seed: int) -> None:
    chain = [
        record("all/x.png", is_malignant=True, lesion_id="first"),
        record("all/y.png", is_malignant=True, lesion_id="first", sha256="copied"),
        record("all/z.png", is_malignant=True, lesion_id="second", sha256="copied"),
        record("all/w.png", is_malignant=True, lesion_id="second"),
    ]
    sides = side_of(split_lesions([*records_of(benign=20, malignant=20), *chain], seed=seed))
    assert len({sides[picture.image_id] for picture in chain}) == 1


def test_folders_keep_the_test_folder_and_take_validation_out_of_train() -> None:
    given = records_of(benign=100, malignant=40, folder="train")
    test = records_of(benign=7, malignant=3, folder="test")
    split = split_lesions([*given, *test], kind=SplitKind.FOLDERS)
    assert split.test == tuple(test)
    assert (classes(split.train), classes(split.validation)) == ((85, 34), (15, 6))
    assert {*split.train, *split.validation} == {*given}
    assert split.left_out == ()


def test_folders_leave_out_what_stands_in_the_test_folder_too() -> None:
    given = records_of(benign=20, malignant=20, folder="train")
    test = [
        record("test/benign/a.png", is_malignant=False, lesion_id="seen"),
        record("test/malignant/b.png", is_malignant=True, sha256="copied"),
    ]
    leaked = [
        record("train/benign/c.png", is_malignant=False, lesion_id="seen"),
        record("train/malignant/d.png", is_malignant=True, sha256="copied"),
    ]
    split = split_lesions([*given, *leaked, *test], kind=SplitKind.FOLDERS)
    assert split.left_out == tuple(leaked)
    assert split.test == tuple(test)
    assert {*split.train, *split.validation} == {*given}


def test_folders_need_a_test_folder() -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        split_lesions(records_of(benign=9, malignant=9, folder="train"), kind=SplitKind.FOLDERS)
    assert str(caught.value) == (
        "The data set has no test folder, which --split folders needs; use --split pooled."
    )


@pytest.mark.parametrize(
    ("benign", "malignant", "side", "found_benign", "found_malignant"),
    [(3, 20, "validation", 0, 3), (20, 3, "validation", 3, 0), (1, 0, "train", 1, 0)],
)
def test_a_side_without_both_classes_is_refused(
    benign: int, malignant: int, side: str, found_benign: int, found_malignant: int
) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        split_lesions(records_of(benign=benign, malignant=malignant))
    assert str(caught.value) == (
        f"The {side} side of the split has {found_benign} benign and {found_malignant} malignant "
        "images; each side needs both classes: add images or use another --split."
    )


@pytest.mark.parametrize("shared", [{"lesion_id": "one"}, {"sha256": "one"}])
def test_a_split_that_shares_a_lesion_or_a_file_cannot_be_made(shared: dict[str, Any]) -> None:
    sides = {
        side: tuple(records_of(benign=1, malignant=1, folder=side))
        for side in ("train", "validation", "test")
    }
    for side in ("train", "test"):
        sides[side] = tuple(replace(picture, **shared) for picture in sides[side])
    with pytest.raises(EdgeMelanomaError) as caught:
        DatasetSplit(
            train=sides["train"],
            validation=sides["validation"],
            test=sides["test"],
            kind=SplitKind.POOLED,
            seed=0,
        )
    assert str(caught.value) == (
        "test/benign/000.png (test) and train/benign/000.png (train) are the same lesion or the "
        "same picture; both must be on one side of the split."
    )


def test_the_saved_split_holds_the_ids_of_each_side_and_each_files_hash() -> None:
    split = split_lesions(records_of(benign=8, malignant=8), seed=2)
    saved = json.loads(json.dumps(split_to_json(split)))
    assert (saved["kind"], saved["seed"], saved["left_out"]) == ("pooled", 2, [])
    assert {side: saved[side] for side in ("train", "validation", "test")} == {
        side: [record.image_id for record in records] for side, records in split.sides().items()
    }
    assert saved["sha256"] == {image_id: f"bytes of {image_id}" for image_id in side_of(split)}
    assert saved["fingerprint"] == split.fingerprint


@pytest.mark.parametrize("change", [{"sha256": "x"}, {"image_id": "x"}, {"is_malignant": False}])
def test_the_fingerprint_changes_with_any_picture_but_not_with_order(
    change: dict[str, Any],
) -> None:
    split = split_lesions(records_of(benign=20, malignant=20))
    *others, last = split.train
    changed = replace(split, train=(*others, replace(last, **change)))
    assert changed.fingerprint != split.fingerprint
    assert replace(split, train=(last, *others)).fingerprint == split.fingerprint


def test_a_lesion_of_a_leaked_picture_is_left_out_with_all_its_pictures() -> None:
    records = [
        *records_of(benign=20, malignant=20, folder="train"),
        *records_of(benign=3, malignant=3, folder="test"),
        record("test/copied.png", is_malignant=True, sha256="shared"),
        record("train/copy.png", is_malignant=True, lesion_id="L1", sha256="shared"),
        record("train/other view.png", is_malignant=True, lesion_id="L1"),
    ]
    split = split_lesions(records, kind=SplitKind.FOLDERS)
    assert {r.image_id for r in split.left_out} == {"train/copy.png", "train/other view.png"}


def test_copies_of_one_cluster_stand_on_one_side_in_every_draw() -> None:
    copies = [record(f"all/copy {n}.png", is_malignant=True, cluster="c") for n in range(4)]
    records = [*records_of(benign=20, malignant=20), *copies]
    for seed in range(12):
        sides = side_of(split_lesions(records, seed=seed))
        assert len({sides[copy.image_id] for copy in copies}) == 1


def test_copies_of_test_pictures_are_left_out_and_the_test_pictures_are_named() -> None:
    records = [
        *records_of(benign=20, malignant=20, folder="train"),
        *records_of(benign=3, malignant=3, folder="test"),
        record("test/leaked.png", is_malignant=True, cluster="c"),
        record("train/crop.png", is_malignant=True, cluster="c"),
        record("test/twin a.png", is_malignant=True, cluster="d"),
        record("test/twin b.png", is_malignant=True, cluster="d"),
    ]
    split = split_lesions(records, kind=SplitKind.FOLDERS)
    assert [left.image_id for left in split.left_out] == ["train/crop.png"]
    assert split.leaked_test == {"test/leaked.png"}
    assert split_to_json(split)["leaked_test"] == ["test/leaked.png"]


def test_a_split_with_copies_on_two_sides_is_refused() -> None:
    split = split_lesions(records_of(benign=20, malignant=20))
    train, test = (replace(side[0], cluster="c") for side in (split.train, split.test))
    with pytest.raises(EdgeMelanomaError) as caught:
        replace(split, train=(train, *split.train[1:]), test=(test, *split.test[1:]))
    assert str(caught.value) == (
        f"{test.image_id} (test) and {train.image_id} (train) are the same lesion or the same "
        "picture; both must be on one side of the split."
    )


def test_names_joined_by_way_of_others_are_one_group() -> None:
    groups = Components()
    groups.join("a", "b")
    groups.join("c", "d")
    assert groups.of("a") == groups.of("b") != groups.of("c")
    groups.join("b", "d")
    assert len({groups.of(name) for name in "abcd"}) == 1


def test_a_name_that_was_never_joined_is_alone() -> None:
    groups = Components()
    groups.join("a", "b")
    assert groups.of("z") == "z"
    assert groups.names() == ["a", "b", "z"]
