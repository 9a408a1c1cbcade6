"""`data check` reports all there is, changes nothing, and its fix list mends what it says."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from copied_lesions import COPIES, draw, write_lesions

from edge_melanoma.data.listing import list_lesions

Run = Callable[..., Any]


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """A set with train and test: a byte copy, leaks, a conflict and unreadable files."""
    folder = tmp_path / "leaky"
    write_lesions(folder / "train", count=16)
    for name in ("benign", "malignant"):
        (folder / "test" / name).mkdir(parents=True)
    train, test = folder / "train", folder / "test"
    draw(100).save(test / "benign/100.png")
    draw(101, is_malignant=True).save(test / "malignant/101.png")
    COPIES["mirrored"](draw(0)).save(test / "benign/leaked.png")
    shutil.copy(train / "benign/1.png", train / "benign/1 again.png")
    COPIES["resized"](draw(2)).save(train / "malignant/conflict.png")
    (test / "malignant/empty.png").write_bytes(b"")
    (train / "benign/cut.png").write_bytes((train / "benign/3.png").read_bytes()[:-999])
    return folder


def check(run: Run, *folders: Path, to: Path, arguments: tuple[str | Path, ...] = ()) -> Any:
    """The JSON of a check without cache that must succeed."""
    result = run("data", "check", *folders, "--no-cache", "--json", to / "r.json", *arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads((to / "r.json").read_text())


def test_all_findings_are_named_relative_to_the_set(
    leaky: Path, tmp_path: Path, edge_melanoma: Run
) -> None:
    found = check(edge_melanoma, leaky, to=tmp_path)
    assert found["bad"] == [
        {
            "file": "test/malignant/empty.png",
            "reason": "The image test/malignant/empty.png is empty.",
        },
        {
            "file": "train/benign/cut.png",
            "reason": "The image train/benign/cut.png is truncated or broken: "
            "image file is truncated.",
        },
    ]
    conflict = ["train/benign/2.png", "train/malignant/conflict.png"]
    leak = ["test/benign/leaked.png", "train/benign/0.png"]
    assert found["exact_duplicates"] == [["train/benign/1 again.png", "train/benign/1.png"]]
    assert found["near_duplicates"] == [leak, conflict]
    assert found["label_conflicts"] == [conflict]
    assert found["cross_split_leaks"] == [leak]
    (summary,) = found["sets"]
    assert (summary["name"], summary["benign"], summary["malignant"]) == ("leaky", 11, 10)
    assert summary["unreadable"] == 2
    assert summary["sides"]["test"] == {"benign": 2, "malignant": 1}


def test_the_fix_list_names_each_file_once_with_its_reason_and_leaves_nothing_to_find(
    leaky: Path, tmp_path: Path, edge_melanoma: Run
) -> None:
    fixes = tmp_path / "fixes.txt"
    check(edge_melanoma, leaky, to=tmp_path, arguments=("--fix-list", fixes))
    assert fixes.read_text().splitlines() == [
        "test/malignant/empty.png\tunreadable",
        "train/benign/0.png\tcopy of test/benign/leaked.png",
        "train/benign/1.png\tsame pixels as train/benign/1 again.png",
        "train/benign/2.png\tcopies with both labels: train/malignant/conflict.png",
        "train/benign/cut.png\tunreadable",
        "train/malignant/conflict.png\tcopies with both labels: train/benign/2.png",
    ]
    for line in fixes.read_text().splitlines():
        (leaky / line.split("\t")[0]).unlink()
    again = check(edge_melanoma, leaky, to=tmp_path, arguments=("--fix-list", fixes))
    kinds = ("bad", "exact_duplicates", "near_duplicates", "label_conflicts", "cross_split_leaks")
    assert {kind: again[kind] for kind in kinds} == {kind: [] for kind in kinds}
    assert fixes.read_text() == ""


def test_a_verdict_ends_the_check_and_strict_makes_an_exit_code_of_it(
    leaky: Path, tmp_path: Path, edge_melanoma: Run
) -> None:
    found = edge_melanoma("data", "check", leaky, "--no-cache", "--strict")
    assert found.exit_code == 1
    verdict, last = found.stdout.splitlines()[-2:]
    assert verdict.startswith("Verdict: not clean, 6 files to remove: 2 unreadable files, 1 exact")
    assert last == f"Next    edge-melanoma data check {leaky} --fix-list remove.txt"
    write_lesions(tmp_path / "clean", count=6)
    found = edge_melanoma("data", "check", tmp_path / "clean", "--no-cache", "--strict")
    assert found.exit_code == 0
    assert found.stdout.splitlines()[-2:] == [
        "Verdict: clean. Every picture can be read, and none is a copy, a leak or in doubt.",
        f"Next    edge-melanoma train --data {tmp_path / 'clean'}",
    ]


def test_copies_in_two_sets_carry_the_names_of_their_sets(
    tmp_path: Path, edge_melanoma: Run
) -> None:
    write_lesions(tmp_path / "one", count=6)
    write_lesions(tmp_path / "two", count=6)
    for path in (tmp_path / "two").rglob("*.png"):
        path.unlink()
    draw(200).save(tmp_path / "two/benign/200.png")
    draw(0).save(tmp_path / "two/malignant/0.jpg", quality=60)
    folders = (tmp_path / "one", tmp_path / "two")
    fixes = tmp_path / "fixes.txt"
    found = check(edge_melanoma, *folders, to=tmp_path, arguments=("--fix-list", fixes))
    pair = ["one:benign/0.png", "two:malignant/0.jpg"]
    assert found["cross_set_copies"] == found["label_conflicts"] == [pair]
    assert found["cross_split_leaks"] == []
    assert [line.split("\t")[0] for line in fixes.read_text().splitlines()] == pair


def test_a_set_with_one_class_is_reported_without_shortcuts(
    tmp_path: Path, edge_melanoma: Run
) -> None:
    write_lesions(tmp_path / "set", count=8)
    shutil.rmtree(tmp_path / "set/malignant")
    found = check(edge_melanoma, tmp_path / "set", to=tmp_path)
    assert found["shortcuts"] == []
    assert found["sets"][0]["note"] == "Shortcuts need 10 images of each class."


def test_shortcuts_are_given_worst_first(
    phantoms: Path, tmp_path: Path, edge_melanoma: Run
) -> None:
    shortcuts = check(edge_melanoma, phantoms, to=tmp_path)["shortcuts"]
    aucs = [shortcut["auc"] for shortcut in shortcuts]
    assert aucs == sorted(aucs, reverse=True)
    assert len({shortcut["feature"] for shortcut in shortcuts}) == 14


def test_a_set_without_any_readable_picture_is_reported(tmp_path: Path, edge_melanoma: Run) -> None:
    (tmp_path / "set/benign").mkdir(parents=True)
    os.mkfifo(tmp_path / "set/benign/pipe.png")
    found = check(edge_melanoma, tmp_path / "set", to=tmp_path)
    assert [bad["file"] for bad in found["bad"]] == ["benign/pipe.png"]


def test_the_page_stands_alone_escapes_names_and_tells_no_absolute_path(
    leaky: Path, tmp_path: Path, edge_melanoma: Run
) -> None:
    shutil.copy(leaky / "test/benign/100.png", leaky / "train/benign/<script>.png")
    page = tmp_path / "page.html"
    check(edge_melanoma, leaky, to=tmp_path, arguments=("--html", page))
    text = page.read_text()
    assert "&lt;script&gt;.png" in text
    assert "<script" not in text
    assert str(tmp_path) not in text
    assert "http" not in text
    assert "data:image/jpeg;base64," in text


def test_the_check_changes_no_file(leaky: Path, tmp_path: Path, edge_melanoma: Run) -> None:
    before = {path: path.read_bytes() for path in leaky.rglob("*") if path.is_file()}
    check(edge_melanoma, leaky, to=tmp_path)
    assert before == {path: path.read_bytes() for path in leaky.rglob("*") if path.is_file()}


def test_a_missing_folder_is_one_sentence(tmp_path: Path, edge_melanoma: Run) -> None:
    result = edge_melanoma("data", "check", tmp_path / "none")
    assert result.exit_code == 2
    assert f"There is no folder {tmp_path / 'none'}" in result.stderr


def test_pictures_of_one_class_can_be_listed(tmp_path: Path) -> None:
    write_lesions(tmp_path, count=4)
    shutil.rmtree(tmp_path / "benign")
    assert len(list_lesions(tmp_path)) == 2
