"""Sizes, sides and leaks of data sets in a report; what of a cluster has to go, and what stays."""

from pathlib import Path

import numpy as np
import pytest
from copied_lesions import draw, write_lesions

from edge_melanoma.check.report import (
    DataReport,
    examine_data,
    list_removals,
    removals_to_text,
)
from edge_melanoma.data.copies.search import Duplicates
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import Fingerprints
from edge_melanoma.machine.terminal import SilentReporter


def examine(*folders: Path) -> DataReport:
    named = {folder.name: folder for folder in folders}
    return examine_data(named, cache_folder=None, reporter=SilentReporter())


def test_the_most_frequent_sizes_come_first(tmp_path: Path) -> None:
    write_lesions(tmp_path, count=4)
    draw(50).resize((90, 60)).save(tmp_path / "benign/small.png")
    (summary,) = examine(tmp_path).told["sets"]
    assert summary["sizes"] == [(224, 224, 4), (90, 60, 1)]


def test_copies_on_given_sides_leak_and_copies_without_a_side_do_not(tmp_path: Path) -> None:
    write_lesions(tmp_path / "sided/train", count=4)
    write_lesions(tmp_path / "sided/test", count=4)
    leaks = examine(tmp_path / "sided").told["cross_split_leaks"]
    assert leaks == [
        (f"test/{name}/{seed}.png", f"train/{name}/{seed}.png")
        for name in ("benign", "malignant")
        for seed in (0, 1)
    ]
    draw(0).resize((120, 120)).save(tmp_path / "sided/train/benign/small.png")
    assert examine(tmp_path / "sided/train").told["cross_split_leaks"] == []


def test_each_of_several_sets_has_its_own_shortcuts(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_lesions(tmp_path / name, count=20)
    found = examine(tmp_path / "one", tmp_path / "two").told
    assert {shortcut["set"] for shortcut in found["shortcuts"]} == {"one", "two"}
    assert [summary["name"] for summary in found["sets"]] == ["one", "two"]
    assert ("one:benign/0.png", "two:benign/0.png") in found["cross_set_copies"]


def test_bad_files_are_named_relative_to_their_set(tmp_path: Path) -> None:
    write_lesions(tmp_path, count=4)
    (tmp_path / "benign/empty\n.png").touch()
    name = "benign/empty\\n.png"
    bad = examine(tmp_path).told["bad"]
    assert bad == [{"file": name, "reason": f"The image {name} is empty."}]


Groups = tuple[tuple[str, ...], ...]


def removals(
    *ids: str, clusters: Groups = (), exact: Groups = (), conflicts: Groups = (), bad: str = ""
) -> dict[str, str]:
    """Reasons by id; `SET:side/name` says which set and which side a picture is of."""
    report = DataReport(
        told={
            "sets": [{"name": "first"}, {"name": "second"}],
            "bad": [{"file": bad, "reason": "It is."}] if bad else [],
            "exact_duplicates": exact,
            "label_conflicts": conflicts,
        },
        shortcuts={},
        prints=Fingerprints(
            readable=tuple(record(image_id) for image_id in ids),
            pixels=ids,
            statistics=np.zeros((len(ids), 13)),
            thumbnails=np.zeros((len(ids), 48, 48, 3), np.uint8),
            bad=(),
        ),
        duplicates=Duplicates(pairs=(), clusters=clusters),
    )
    return list_removals(report)


def record(image_id: str) -> LesionRecord:
    dataset, _, rest = image_id.partition(":")
    side = rest.split("/")[0] if "/" in rest else None
    return LesionRecord(
        image_id=image_id, path=Path(rest), is_malignant=False, dataset=dataset, side=side
    )


@pytest.mark.parametrize(
    ("stays", "goes"),
    [
        ("first:test/a", "first:train/b"),
        ("first:test/a", "first:validation/b"),
        ("first:validation/a", "first:train/b"),
        ("first:train/a", "second:test/b"),
        ("first:a", "second:b"),
    ],
)
def test_of_copies_in_two_places_one_stays(stays: str, goes: str) -> None:
    assert removals(goes, stays, clusters=((goes, stays),)) == {goes: f"copy of {stays}"}


def test_near_copies_in_one_place_stay() -> None:
    ids = ("first:train/a", "first:train/b")
    assert removals(*ids, clusters=(ids,)) == {}


def test_of_equal_pictures_in_one_place_the_first_stays() -> None:
    ids = ("first:train/a", "first:train/b", "first:train/c")
    reason = "same pixels as first:train/a"
    assert removals(*ids, clusters=(ids,), exact=(ids,)) == {ids[1]: reason, ids[2]: reason}


def test_of_a_conflict_all_go_for_that_reason_alone() -> None:
    ids = ("first:test/a", "first:train/b")
    assert removals(*ids, clusters=(ids,), exact=(ids,), conflicts=(ids,)) == {
        ids[0]: f"copies with both labels: {ids[1]}",
        ids[1]: f"copies with both labels: {ids[0]}",
    }


def test_a_line_names_a_file_and_its_reason() -> None:
    assert removals(bad="first:x") == {"first:x": "unreadable"}
    assert removals_to_text({}) == ""
