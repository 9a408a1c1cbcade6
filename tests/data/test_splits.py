"""Splits keep shares, seeds and given test folders, and nothing stands on two sides."""

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from edge_melanoma.data.clinics import source_of
from edge_melanoma.data.lesions import LesionRecord, plain_name
from edge_melanoma.data.splits import (
    Components,
    DatasetSplit,
    SplitKind,
    choose_kind,
    split_lesions,
    split_to_json,
)
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import TerminalReporter


def record(
    image_id: str,
    *,
    is_malignant: bool,
    lesion_id: str | None = None,
    sha256: str | None = None,
    cluster: str | None = None,
    dataset: str | None = None,
    clinic: str | None = None,
    same_as: tuple[str, ...] = (),
) -> LesionRecord:
    """A picture with bytes of its own, in the side that its path begins with."""
    side = image_id.split("/")[0].replace("valid", "validation")
    image_id = f"{dataset}:{image_id}" if dataset else image_id
    return LesionRecord(
        image_id=image_id,
        path=Path(image_id),
        is_malignant=is_malignant,
        lesion_id=lesion_id,
        side=side if side in {"train", "test", "validation"} else None,
        sha256=sha256 or f"bytes of {image_id}",
        cluster=cluster,
        dataset=dataset,
        clinic=clinic,
        same_as=same_as,
    )


def records_of(
    *,
    benign: int,
    malignant: int,
    folder: str = "all",
    dataset: str | None = None,
    clinic: str | None = None,
) -> list[LesionRecord]:
    return [
        record(
            f"{folder}/{clinic or ''}{name}/{number:03}.png",
            is_malignant=name == "malignant",
            dataset=dataset,
            clinic=clinic,
        )
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


def counts_of(
    records: tuple[LesionRecord, ...], source: str, *, dataset: str | None = None
) -> tuple[int, int]:
    """Benign and malignant pictures of a source, in one set or in all."""
    return classes(
        tuple(r for r in records if source_of(r) == source and dataset in {None, r.dataset})
    )


def test_pooled_sides_have_the_same_shares_of_each_class_of_each_source() -> None:
    records = [
        *records_of(benign=200, malignant=40, dataset="one", clinic="A"),
        *records_of(benign=20, malignant=100, dataset="one", clinic="B"),
        *records_of(benign=60, malignant=20, dataset="two"),
    ]
    sides = split_lesions(records).sides()
    assert {side: counts_of(members, "A") for side, members in sides.items()} == {
        "train": (140, 28),
        "validation": (30, 6),
        "test": (30, 6),
    }
    assert {side: counts_of(members, "B") for side, members in sides.items()} == {
        "train": (14, 70),
        "validation": (3, 15),
        "test": (3, 15),
    }
    assert {side: counts_of(members, "two") for side, members in sides.items()} == {
        "train": (42, 14),
        "validation": (9, 3),
        "test": (9, 3),
    }


def test_a_clinic_is_one_source_in_whatever_sets_it_is() -> None:
    records = [
        *records_of(benign=2, malignant=2, dataset="one", clinic="bcn"),
        *records_of(benign=2, malignant=2, dataset="two", clinic="BCN"),
        *records_of(benign=8, malignant=8, dataset="two"),
    ]
    sides = split_lesions(records).sides()
    assert [counts_of(members, "BCN") for members in sides.values()] == [(2, 2), (1, 1), (1, 1)]


def test_one_source_is_divided_as_if_it_had_no_name() -> None:
    plain, named = (
        records_of(benign=20, malignant=20, clinic=None),
        [replace(r, clinic="BCN") for r in records_of(benign=20, malignant=20)],
    )
    assert side_of(split_lesions(plain, seed=2)) == side_of(split_lesions(named, seed=2))


GIVEN = [
    *records_of(benign=85, malignant=40, folder="train", dataset="given"),
    *records_of(benign=10, malignant=5, folder="test", dataset="given"),
]
FREE = records_of(benign=100, malignant=50, dataset="free")


def test_folders_keep_a_given_test_side_and_draw_one_of_a_set_without() -> None:
    split = split_lesions([*GIVEN, *FREE], kind=SplitKind.FOLDERS)
    given_test = {r for r in GIVEN if r.side == "test"}
    assert {r for r in split.test if r.dataset == "given"} == given_test
    counts = {
        side: (counts_of(members, "given"), counts_of(members, "free"))
        for side, members in split.sides().items()
    }
    assert counts == {
        "train": ((72, 34), (67, 34)),
        "validation": ((13, 6), (13, 6)),
        "test": ((10, 5), (20, 10)),
    }
    assert (split.left_out, split.leaked_test) == ((), frozenset())


def test_folders_keep_the_test_sides_of_several_sets() -> None:
    second = [
        *records_of(benign=20, malignant=20, folder="train", dataset="second"),
        *records_of(benign=3, malignant=3, folder="test", dataset="second"),
    ]
    split = split_lesions([*GIVEN, *second], kind=SplitKind.FOLDERS)
    assert {*split.test} == {r for r in [*GIVEN, *second] if r.side == "test"}


def test_kin_of_a_given_test_picture_goes_to_the_test_side_where_its_set_has_none() -> None:
    kin = [
        record("photo.png", is_malignant=True, dataset="free", same_as=("given:test/seen.png",)),
        record("view.png", is_malignant=True, dataset="free", lesion_id="L"),
    ]
    seen = [
        record("test/seen.png", is_malignant=True, dataset="given"),
        record("test/lesion.png", is_malignant=True, dataset="given", lesion_id="L"),
        record("train/lesion.png", is_malignant=True, dataset="given", lesion_id="L"),
    ]
    for seed in range(5):
        split = split_lesions([*GIVEN, *FREE, *kin, *seen], kind=SplitKind.FOLDERS, seed=seed)
        assert {*kin} <= {*split.test}
        assert split.left_out == (seen[2],)
        assert split.leaked_test == {"given:test/lesion.png"}


def test_kin_of_a_given_training_picture_is_never_drawn_into_the_test_side() -> None:
    joined = [
        record(f"{n}.png", is_malignant=n % 2 > 0, dataset="free", lesion_id=f"L{n}")
        for n in range(40)
    ]
    learned = [
        record(f"train/{n}.png", is_malignant=n % 2 > 0, dataset="given", lesion_id=f"L{n}")
        for n in range(40)
    ]
    split = split_lesions([*GIVEN, *FREE, *joined, *learned], kind=SplitKind.FOLDERS)
    sides = side_of(split)
    for one, other in zip(joined, learned, strict=True):
        assert sides[one.image_id] == sides[other.image_id] != "test"
    assert split.left_out == ()


DATASETS = ("given", "Free 1", "third")


@st.composite
def tables(draw: st.DrawFn) -> tuple[LesionRecord, ...]:
    """Rows of two or three sets that share lesions, patients, photographs and pairs of twins.

    The first set has a test side and a training side, and the third may have; of both the test
    side, the validation side or none may be missing.
    """
    several = DATASETS[: draw(st.integers(2, 3))]
    is_given = {"given": True, "Free 1": False, "third": draw(st.booleans())}
    judging = st.sampled_from([["test"], ["valid"], ["test", "valid"]])
    given_sides = {dataset: draw(judging) for dataset in several}
    keys = st.none() | st.integers(0, 25)
    row = st.tuples(st.sampled_from(several), st.booleans(), st.integers(0, 3), keys, keys, keys)
    rows = draw(st.lists(row, min_size=60, max_size=110))
    names = [
        f"{dict(enumerate(given_sides[dataset])).get(place, 'train')}/{n}.png"
        if is_given[dataset]
        else f"{n}.png"
        for n, (dataset, _, place, *_) in enumerate(rows)
    ]
    places = st.none() | st.none() | st.integers(0, len(rows) - 1)
    twins = draw(st.lists(places, min_size=len(rows), max_size=len(rows)))
    records = []
    for n, (dataset, is_malignant, _, lesion, patient, photograph) in enumerate(rows):
        twin = twins[n]
        column = () if twin is None else (f"{plain_name(rows[twin][0])}:{names[twin]}",)
        shared = {
            "lesion_id": lesion,
            "patient_id": None if patient is None or patient > 12 else patient,
            "isic_id": photograph,
        }
        # Keys that every row has would make one group of all.
        told: dict[str, Any] = {
            kind: f"{key}" for kind, key in shared.items() if key and draw(st.booleans())
        }
        chosen: dict[str, Any] = dict([draw(st.sampled_from(sorted(told.items())))]) if told else {}
        plain = record(names[n], is_malignant=is_malignant, dataset=dataset, same_as=column)
        records.append(replace(plain, **chosen))
    return tuple(records)


def refuse_kin_on_two_sides(split: DatasetSplit, records: tuple[LesionRecord, ...]) -> None:
    """Judged by what the columns say, and not by the keys that the split is made with."""
    sides = side_of(split)
    by_file = {(plain_name(r.dataset or ""), r.image_id.partition(":")[2]): r for r in records}
    for one, other in combinations([r for r in records if r.image_id in sides], 2):
        for field in ("lesion_id", "patient_id", "isic_id", "sha256"):
            value = getattr(one, field)
            if value is not None and value == getattr(other, field):
                assert sides[one.image_id] == sides[other.image_id], (one, other)
    for one in records:
        for same in one.same_as:
            dataset, _, name = same.partition(":")
            other = by_file[dataset, name]
            if {one.image_id, other.image_id} <= sides.keys():
                assert sides[one.image_id] == sides[other.image_id], (one, other)


# Shrinking such tables takes minutes, and the assertion names the two pictures.
@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate])
@given(tables(), st.sampled_from(SplitKind), st.integers(0, 3))
def test_whatever_several_sets_share_nothing_that_is_kin_stands_on_two_sides(
    records: tuple[LesionRecord, ...], kind: SplitKind, seed: int
) -> None:
    try:
        split = split_lesions(records, kind=kind, seed=seed)
    except EdgeMelanomaError as error:
        if "the same lesion or the same picture" in str(error):
            raise
        # Too few groups of a class for a side, or no test folder.
        assume(False)
        return
    drawn = [*split.train, *split.validation, *split.test, *split.left_out]
    assert sorted(r.image_id for r in drawn) == sorted(r.image_id for r in records)
    refuse_kin_on_two_sides(split, records)
    if kind is SplitKind.FOLDERS:
        for side, found in (("test", split.test), ("validation", split.validation)):
            given_sets = {r.dataset for r in records if r.side == side}
            stated = {r.image_id for r in records if r.side == side}
            kept = {r.image_id for r in found if r.dataset in given_sets}
            # What is kin to a test side of its own or another set cannot validate.
            tested = {r.image_id for r in split.left_out} if side == "validation" else set()
            assert kept <= stated <= kept | tested
        assert {r.dataset for r in split.left_out} <= {r.dataset for r in records if r.side}
    shuffled = split_lesions(records[::-1], kind=kind, seed=seed)
    assert shuffled.fingerprint == split.fingerprint
    assert {*shuffled.left_out} == {*split.left_out}


def sided(**sides: int) -> list[LesionRecord]:
    """As many pictures of each class on each given side."""
    return [
        one
        for side, count in sides.items()
        for one in records_of(benign=count, malignant=count, folder=side)
    ]


@pytest.mark.parametrize(
    ("sides", "counts"),
    [
        ({"train": 20, "test": 4}, (34, 6, 8)),
        ({"train": 20, "valid": 5, "test": 4}, (40, 10, 8)),
        ({"train": 20, "valid": 5}, (32, 10, 8)),
    ],
)
def test_a_given_side_is_kept_and_a_missing_one_is_drawn_from_the_rest(
    sides: dict[str, int], counts: tuple[int, int, int]
) -> None:
    records = sided(**sides)
    split = split_lesions(records, kind=SplitKind.FOLDERS)
    assert (len(split.train), len(split.validation), len(split.test)) == counts
    for side, found in (("validation", split.validation), ("test", split.test)):
        stated = {r.image_id for r in records if r.side == side}
        assert not stated or stated == {r.image_id for r in found}


def test_training_pictures_that_stand_in_validation_too_are_left_out() -> None:
    copies = [
        record(f"{side}/copy.png", is_malignant=True, lesion_id=lesion)
        for side, lesion in (("train", "L1"), ("valid", "L1"))
    ]
    split = split_lesions([*sided(train=9, valid=3, test=3), *copies], kind=SplitKind.FOLDERS)
    assert [r.image_id for r in split.left_out] == ["train/copy.png"]
    assert "valid/copy.png" in {r.image_id for r in split.validation}
    assert split.leaked_test == frozenset()


def test_validation_pictures_that_stand_in_the_test_side_are_left_out() -> None:
    copies = [
        record(f"{side}/copy.png", is_malignant=True, lesion_id="L1")
        for side in ("train", "valid", "test")
    ]
    split = split_lesions([*sided(train=9, valid=3, test=3), *copies], kind=SplitKind.FOLDERS)
    assert [r.image_id for r in split.left_out] == ["train/copy.png", "valid/copy.png"]
    assert split.leaked_test == {"test/copy.png"}


@pytest.mark.parametrize(
    ("sides", "wanted", "kind", "told"),
    [
        ({"all": 1}, None, "pooled", ""),
        ({"train": 1}, None, "pooled", ""),
        ({"train": 2, "test": 1}, "folders", "folders", ""),
        (
            {"train": 2, "test": 1},
            None,
            "pooled",
            "The given sides (4 train, 2 test images) are pooled and drawn anew; --split folders "
            "keeps them\n",
        ),
        (
            {"train": 2, "valid": 1, "test": 1},
            "pooled",
            "pooled",
            "The given sides (4 train, 2 validation, 2 test images) are pooled and drawn anew; "
            "--split folders keeps them\n",
        ),
        (
            {"train": 2, "valid": 1},
            None,
            "folders",
            "The given sides are kept (4 train, 2 validation images): --split folders\n",
        ),
    ],
)
def test_given_sides_that_a_split_does_not_keep_are_told(
    sides: dict[str, int],
    wanted: str | None,
    kind: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = SplitKind(wanted) if wanted else None
    assert choose_kind(sided(**sides), asked, reporter=TerminalReporter()) == kind
    assert capsys.readouterr().err == told
