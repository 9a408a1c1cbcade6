"""Sizes, sides and leaks of data sets as they are found in a report."""

from pathlib import Path

from copied_lesions import draw, write_lesions

from edge_melanoma.check.report import DataReport, examine_data, report_to_json
from edge_melanoma.data.screening import BadImage
from edge_melanoma.machine.terminal import SilentReporter


def examine(*folders: Path) -> DataReport:
    named = {folder.name: folder for folder in folders}
    return examine_data(named, cache_folder=None, reporter=SilentReporter())


def test_the_most_frequent_sizes_come_first(tmp_path: Path) -> None:
    write_lesions(tmp_path, count=4)
    draw(50).resize((90, 60)).save(tmp_path / "benign/small.png")
    (summary,) = examine(tmp_path).sets
    assert summary.sizes == ((224, 224, 4), (90, 60, 1))


def test_copies_on_given_sides_leak_and_copies_without_a_side_do_not(tmp_path: Path) -> None:
    write_lesions(tmp_path / "sided/train", count=4)
    write_lesions(tmp_path / "sided/test", count=4)
    leaks = examine(tmp_path / "sided").leaks
    assert leaks == tuple(
        (f"test/{name}/{seed}.png", f"train/{name}/{seed}.png")
        for name in ("benign", "malignant")
        for seed in (0, 1)
    )
    draw(0).resize((120, 120)).save(tmp_path / "sided/train/benign/small.png")
    assert examine(tmp_path / "sided/train").leaks == ()


def test_each_of_several_sets_has_its_own_shortcuts(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_lesions(tmp_path / name, count=20)
    found = report_to_json(examine(tmp_path / "one", tmp_path / "two"))
    assert {shortcut["set"] for shortcut in found["shortcuts"]} == {"one", "two"}
    assert [summary["name"] for summary in found["sets"]] == ["one", "two"]
    assert ["one:benign/0.png", "two:benign/0.png"] in found["cross_set_copies"]


def test_bad_files_are_named_relative_to_their_set(tmp_path: Path) -> None:
    write_lesions(tmp_path, count=4)
    (tmp_path / "benign/empty\n.png").touch()
    name = "benign/empty\\n.png"
    assert examine(tmp_path).bad == (BadImage(image_id=name, reason=f"The image {name} is empty."),)
