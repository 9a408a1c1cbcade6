"""Every kind of bad picture has its one stated fate, whoever reads it, in little memory."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_images import FOLDER, READ, REFUSED, SKIPPED, TABLE, Fate, hash_pixels
from odd_names import place_odd_files
from PIL import Image
from tflite_files import mean_model

from edge_melanoma.data.images import (
    UnreadableImageError,
    decode_image,
    read_image,
    read_image_bytes,
    resize_image,
)
from edge_melanoma.data.screening import LARGEST_BAD_SHARE
from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.evaluation.judged_pictures import learned_by_run, read_external_set
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.bundled import bundled_model, bundled_run

Run = Callable[..., Any]
FATES = [Fate(**row) for row in json.loads((FOLDER / TABLE).read_text(encoding="utf-8"))]
LARGEST_MEMORY_MB = 400


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Fate]]:
    """A data set whose benign pictures are all of the bad ones, and as many good ones as needed."""
    data = tmp_path_factory.mktemp("data")
    for name in ("benign", "malignant"):
        (data / name).mkdir()
    for fate in FATES:
        (data / "benign" / fate.file).symlink_to(FOLDER / fate.file)
    fates = [*FATES, *place_odd_files(data / "benign")]
    refused = sum(fate.fate == REFUSED for fate in fates)
    rng = np.random.default_rng(0)
    for number in range(int(refused / LARGEST_BAD_SHARE)):
        pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(data / "malignant" / f"{number}.png")
    return data, fates


def test_the_table_holds_each_committed_file_once_and_more_than_forty_kinds() -> None:
    assert sorted(fate.file for fate in FATES) == sorted({*os.listdir(FOLDER)} - {TABLE})
    assert len(FATES) > 40


@pytest.mark.parametrize("fate", FATES, ids=lambda fate: fate.file)
def test_a_bad_picture_has_its_stated_fate(fate: Fate) -> None:
    _expect(fate, FOLDER / fate.file)


def test_odd_files_have_their_stated_fates_too(everything: tuple[Path, list[Fate]]) -> None:
    data, fates = everything
    for fate in fates[len(FATES) :]:
        if fate.fate != SKIPPED:
            _expect(fate, data / "benign" / fate.file)


def _expect(fate: Fate, path: Path) -> None:
    if fate.fate == READ:
        pixels = decode_image(read_image_bytes(path), name=path.name)
        assert hash_pixels(pixels) == fate.pixels_sha256
        np.testing.assert_array_equal(read_image(path), resize_image(pixels))
        return
    with pytest.raises(UnreadableImageError) as caught:
        read_image(path)
    named = (str(path), printable(str(path)), repr(os.fsencode(path)))
    assert str(caught.value).startswith(tuple(f"The image {n} {fate.reason}" for n in named))
    assert "\n" not in str(caught.value)


def test_data_check_names_every_refused_and_every_skipped_file(
    everything: tuple[Path, list[Fate]], tmp_path: Path, edge_melanoma: Run
) -> None:
    data, fates = everything
    report, fixes = tmp_path / "r.json", tmp_path / "fixes.txt"
    result = edge_melanoma(
        "data", "check", data, "--no-cache", "--json", report, "--fix-list", fixes
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(report.read_text())
    assert {row["file"] for row in found["bad"]} == _names(fates, REFUSED)
    assert set(found["skipped"]) == _names(fates, SKIPPED)
    assert found["sets"][0]["benign"] == len(_names(fates, READ))
    listed = [line.split("\t") for line in fixes.read_text().splitlines()]
    assert {name for name, reason in listed if reason == "unreadable"} == _names(fates, REFUSED)


def test_evaluate_goes_on_without_refused_and_skipped_files_and_says_so(
    everything: tuple[Path, list[Fate]], tmp_path: Path, edge_melanoma: Run
) -> None:
    data, fates = everything
    model = tmp_path / "mean.tflite"
    model.write_bytes(mean_model(tensor="p_malignant", signature=None))
    result = edge_melanoma("evaluate", model, "--data", data, "--json", tmp_path / "e.json")
    assert result.exit_code == 0, result.stderr
    _expect_report(result.stderr, fates)
    evaluated = json.loads((tmp_path / "e.json").read_text())["dataset"]
    assert evaluated["benign"] == len(_names(fates, READ))


def test_bench_reads_the_same_pictures(
    everything: tuple[Path, list[Fate]], capsys: pytest.CaptureFixture[str]
) -> None:
    data, fates = everything
    found = read_external_set(data, learned_by_run(bundled_run()), reporter=TerminalReporter())
    _expect_report(capsys.readouterr().err, fates)
    read = {record.image_id for record in found.records if not record.is_malignant}
    assert {printable(name) for name in read} == _names(fates, READ)


@pytest.mark.slow
def test_train_goes_on_without_them_too(
    everything: tuple[Path, list[Fate]], tmp_path: Path, edge_melanoma: Run
) -> None:
    data, fates = everything
    arguments = ("--variant", "frozen", "--weights", "none", "--epochs", "1", "--no-cache")
    result = edge_melanoma("train", "--data", data, "--out", tmp_path / "run", *arguments)
    assert result.exit_code == 0, result.stderr
    _expect_report(result.stderr, fates)
    split = json.loads((tmp_path / "run/split.json").read_text())
    used = {name for side in ("train", "validation", "test") for name in split[side]}
    assert {printable(name) for name in used if "benign" in name} <= _names(fates, READ)


def _expect_report(told: str, fates: list[Fate]) -> None:
    assert f"Skipped {len(_names(fates, SKIPPED))} files that are not taken for pictures" in told
    assert f"Going on without {len(_names(fates, REFUSED))} unreadable images" in told


def _names(fates: list[Fate], kind: str) -> set[str]:
    return {f"benign/{printable(fate.file)}" for fate in fates if fate.fate == kind}


def test_predict_scores_what_is_read_and_says_what_is_skipped(
    everything: tuple[Path, list[Fate]], edge_melanoma: Run
) -> None:
    data, fates = everything
    files = [data / "benign" / fate.file for fate in fates if fate.fate != REFUSED]
    result = edge_melanoma("predict", bundled_model(), "--json", *files)
    assert result.exit_code == 0, result.stderr
    read = [str(data / "benign" / fate.file) for fate in fates if fate.fate == READ]
    assert [row["file"] for row in json.loads(result.stdout)] == read
    assert result.stderr.count("Skipped ") == len(_names(fates, SKIPPED))


def test_predict_refuses_what_is_refused_in_one_line(
    everything: tuple[Path, list[Fate]], edge_melanoma: Run
) -> None:
    data, fates = everything
    for fate in fates:
        if fate.fate == REFUSED:
            result = edge_melanoma("predict", bundled_model(), data / "benign" / fate.file)
            assert (result.exit_code, result.stdout) == (2, "")
            assert str(fate.reason) in result.stderr
            assert result.stderr.count("\n") == 1


def test_predict_refuses_files_of_which_none_has_the_name_of_a_picture(
    tmp_path: Path, edge_melanoma: Run
) -> None:
    (tmp_path / "notes.txt").touch()
    result = edge_melanoma("predict", bundled_model(), tmp_path / "notes.txt")
    assert result.exit_code == 2
    assert "No file has the name of a picture" in result.stderr


def test_no_bad_picture_takes_much_memory_or_hangs(everything: tuple[Path, list[Fate]]) -> None:
    data, fates = everything
    paths = [data / "benign" / fate.file for fate in fates if fate.fate != SKIPPED]
    measured = subprocess.run(
        [sys.executable, Path(__file__).parent / "hazards" / "reading_memory.py"],
        input=b"\0".join(os.fsencode(path) for path in paths),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert float(measured.stdout) < LARGEST_MEMORY_MB


@pytest.mark.parametrize("suffix", ["heic", "jpg"])
def test_a_heic_picture_is_read_where_the_extra_is_installed(suffix: str, tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    pillow_heif.register_heif_opener()
    path = tmp_path / f"phone.{suffix}"
    Image.new("RGB", (64, 48), (200, 100, 50)).save(path, "HEIF", quality=90)
    assert np.abs(read_image(path).astype(int) - (200, 100, 50)).max() < 8


def test_an_error_of_a_picture_is_one_that_the_command_line_tells() -> None:
    assert issubclass(UnreadableImageError, EdgeMelanomaError)
