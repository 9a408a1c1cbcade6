"""A study of calibration: disjoint subsets, converted as exports, counted by hand, and told."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import calibration_study
import numpy as np
import pytest
from calibration_study import (
    conclude,
    draw_calibration_study,
    fingerprint,
    main,
    make_convert,
    possible_sizes,
    try_subsets,
)
from made import predictions_of
from PIL import Image
from small_network import make_calibration, make_small_network

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.data.images import read_image_bytes
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import make_prediction_set, predictions_to_csv
from edge_melanoma.machine.files import sha256_of, write_json
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.tflite.modes import Backend, Output

TRIAL = {
    "images": 10,
    "fingerprint": "f",
    "file_sha256": "s",
    "recall": 0.75,
    "specificity": 1.0,
    "auc": 0.9,
    "mean_score_difference": 0.01,
    "agreement": 0.99,
}
# At 0.5 all four melanomas are called, and no benign picture.
REFERENCE = predictions_of(malignant=(0.9, 0.8, 0.7, 0.6), benign=(0.4, 0.3, 0.2, 0.1))
TRAINING, ALL = 25, 30
"""Pictures of each class; five disjoint subsets of ten, the fewest, take all 25 that train."""


def study_of(*trials: dict[str, Any], calibration_images: int = 10) -> dict[str, Any]:
    return {
        "settings": {"calibration_images": calibration_images},
        "threshold": 0.5,
        "validation": {"name": "a$b, validation side", "malignant": 40},
        "reference": {"recall": 0.8, "auc": 0.91},
        "subsets": trials,
    }


def test_the_conclusion_is_of_the_size_that_an_export_has() -> None:
    trials = [
        *(TRIAL | {"images": 10, "recall": recall} for recall in (0.7, 0.8)),
        *(TRIAL | {"images": 50, "recall": 0.75, "auc": auc} for auc in (0.90, 0.92, 0.91)),
        TRIAL | {"images": 50, "recall": 0.775},
    ]
    assert conclude(study_of(*trials, calibration_images=50)) == (
        "With 50 images, the choice of images moves recall by 0.0250 (1 of 40 malignant images) "
        "and AUC by 0.0200; the lowest recall is 0.7500, -0.0500 against float, and recall moves "
        "most with 10 images, by 0.1000."
    )
    small, largest = (conclude(study_of(*trials, calibration_images=n)) for n in (10, 200))
    assert small.startswith("With 10 images, the choice of images moves recall by 0.1000 (4 of 40")
    assert largest == conclude(study_of(*trials, calibration_images=50))


def test_the_picture_has_a_dot_for_each_subset_and_is_the_same_each_time(tmp_path: Path) -> None:
    """The means are equal, so that the dots alone can differ."""
    near, far = (0.75, 0.8, 0.7), (0.75, 0.85, 0.65)
    first, again, recall, auc = (
        draw_calibration_study(
            study_of(
                *(
                    TRIAL | {"recall": recall, "auc": auc}
                    for recall, auc in zip(recalls, aucs, strict=True)
                ),
                TRIAL | {"images": 50},
            ),
            tmp_path / f"{number}.png",
        ).read_bytes()
        for number, (recalls, aucs) in enumerate(
            ((near, near), (near, near), (far, near), (near, far))
        )
    )
    assert first == again
    assert len({first, recall, auc}) == 3


def test_a_trial_is_counted_by_hand(tmp_path: Path) -> None:
    calibration = make_calibration(tmp_path)
    files = iter((b"same", b"other"))
    # One melanoma falls from 0.6 to 0.4, where a benign picture is: 15 and a half of 16 pairs.
    lost = predictions_of(malignant=(0.9, 0.8, 0.7, 0.4), benign=(0.4, 0.3, 0.2, 0.1))
    same, other = try_subsets(
        [calibration, calibration],
        convert=lambda _: next(files),
        score=lambda data: {b"same": REFERENCE, b"other": lost}[data],
        reference=REFERENCE,
        threshold=0.5,
    )
    assert (same["recall"], same["auc"], same["mean_score_difference"], same["agreement"]) == (
        1,
        1,
        0,
        1,
    )
    assert (other["recall"], other["specificity"], other["auc"]) == (3 / 4, 1, 15.5 / 16)
    assert other["mean_score_difference"] == pytest.approx(0.2 / 8)
    assert other["agreement"] == 7 / 8
    assert (other["images"], other["fingerprint"]) == (10, fingerprint(calibration))
    assert (same["file_sha256"], other["file_sha256"]) == (sha256_of(b"same"), sha256_of(b"other"))


def test_scores_of_other_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match="are of different images"):
        next(
            try_subsets(
                [make_calibration(tmp_path)],
                convert=lambda _: b"",
                score=lambda _: predictions_of(malignant=(0.9,), benign=(0.1,)),
                reference=REFERENCE,
                threshold=0.5,
            )
        )


def test_a_fingerprint_is_that_of_the_pictures_whatever_their_order(tmp_path: Path) -> None:
    one = make_calibration(tmp_path)
    first = one.records[0].image_id
    assert fingerprint(replace(one, records=one.records[::-1])) == fingerprint(one)
    assert fingerprint(replace(one, records=one.records[1:])) != fingerprint(one)
    rewritten = replace(one, training_hashes={**one.training_hashes, first: "other bytes"})
    assert fingerprint(rewritten) != fingerprint(one)


@pytest.fixture
def records(tmp_path: Path) -> tuple[LesionRecord, ...]:
    """30 pictures of each class, each of its own grey."""
    for name, first in (("benign", 0), ("malignant", 100)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(ALL):
            grey = (first + number,) * 3
            Image.new("RGB", (8, 8), grey).save(tmp_path / "data" / name / f"{number:02}.png")
    return read_lesions(tmp_path / "data")


@pytest.fixture
def run(records: tuple[LesionRecord, ...], tmp_path: Path) -> TrainedModel:
    """Of the 30 pictures of each class 25 train, 3 validate and 2 test; the weights are none."""
    numbers = {record: int(Path(record.image_id).stem) for record in records}
    validation = [r for r in records if TRAINING <= numbers[r] < TRAINING + 3]
    split = {
        "train": [r.image_id for r in records if numbers[r] < TRAINING],
        "validation": [r.image_id for r in validation],
        "test": [r.image_id for r in records if numbers[r] >= TRAINING + 3],
        "sha256": {r.image_id: sha256_of(read_image_bytes(r.path)) for r in records},
    }
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(b"weights")
    write_json(folder / "split.json", split)
    scores = make_prediction_set(validation, np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9]))
    (folder / "predictions_validation.csv").write_text(predictions_to_csv(scores))
    manifest = {
        "variant": "frozen",
        "dataset": {"name": "greys", "folders": {"greys": str(tmp_path / "data")}},
        "operating_point": {"threshold": 0.5},
        "files": {"weights.safetensors": {"sha256": sha256_of(b"weights")}},
    }
    write_json(folder / "manifest.json", manifest)
    return open_run(folder)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[CalibrationSet]:
    """Every subset, whose trials are replaced by ones of growing AUC."""
    asked: list[CalibrationSet] = []

    def answer(subsets: Iterable[CalibrationSet], **rest: Any) -> tuple[dict[str, Any], ...]:
        asked.extend(subsets)
        return tuple(
            TRIAL
            | {
                "images": len(subset.records),
                "fingerprint": fingerprint(subset),
                "auc": (90 + number) / 100,
            }
            for number, subset in enumerate(asked)
        )

    monkeypatch.setattr(calibration_study, "try_subsets", answer)
    return asked


def test_five_disjoint_subsets_of_the_training_side_are_tried(
    run: TrainedModel, drawn: list[CalibrationSet]
) -> None:
    main([str(run.folder), "--calibration-images", "10"])
    subsets = drawn
    ids = [record.image_id for subset in subsets for record in subset.records]
    assert len(subsets) == 5
    assert sorted(ids) == sorted(read_json(run.folder / "split.json")["train"])


def test_the_file_says_what_decided_the_study_and_what_every_subset_gave(
    run: TrainedModel, drawn: list[CalibrationSet], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--calibration-images", "10", "--seed", "3", "--bias-correction", "none"]
    main([str(run.folder), *options])
    path = run.exports_folder / "calibration_study.json"
    content = read_json(path)
    assert (content["schema"], content["seed"], content["threshold"]) == (1, 3, 0.5)
    assert content["settings"]["bias_correction"] == "none"
    assert content["source_sha256"] == run.sha256
    assert content["left_out"] == [50, 100, 200, 500, 1000]
    # Of the stored scores 0.8 and 0.9 are melanomas called, 0.4 is one that is not.
    assert content["reference"]["recall"] == 2 / 3
    assert content["reference"]["auc"] == 1.0
    told = content["validation"]
    assert (told["name"], told["images"], told["malignant"]) == ("greys, validation side", 6, 3)
    fingerprints = [fingerprint(subset) for subset in drawn]
    assert [trial["fingerprint"] for trial in content["subsets"]] == fingerprints
    assert [trial["auc"] for trial in content["subsets"]] == [0.9, 0.91, 0.92, 0.93, 0.94]
    assert content["conclusion"] in capsys.readouterr().out
    with Image.open(path.with_suffix(".png")) as picture:
        assert picture.format == "PNG"


def test_a_row_a_size_is_printed_and_what_was_left_out(
    run: TrainedModel, drawn: list[CalibrationSet], capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(run.folder), "--calibration-images", "10"])
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split("│") for line in lines if line.startswith("│")]
    assert [[cell.strip() for cell in row[1:-1]] for row in rows] == [
        ["float, stored scores", "", "0.6667", "", "1.0000", "", "", ""],
        ["10", "5", "0.7500", "0.7500 .. 0.7500", "0.9200", "0.9000 .. 0.9400", "0.0100", "0.9900"],
    ]
    assert lines[-4] == (
        "Left out: 50, 100, 200, 500, 1000 images, of which the training side has no 5 disjoint "
        "subsets with half of each class."
    )
    assert lines[-3].startswith("With 10 images, the choice of images moves recall by 0.0000")
    path = run.exports_folder / "calibration_study.json"
    assert lines[-2:] == [str(path), str(path.with_suffix(".png"))]


@pytest.mark.parametrize(("size", "found"), [(10, True), (11, False), (20, False)])
def test_sizes_are_tried_while_the_training_side_lasts(
    run: TrainedModel, records: tuple[LesionRecord, ...], size: int, found: bool
) -> None:
    """25 of each class: five sets of 5 and 5, but not of 5 and 6."""
    split = read_json(run.folder / "split.json")
    if found:
        assert possible_sizes(records, split=split, sizes=[size, 50], seed=0) == [size]
        return
    with pytest.raises(EdgeMelanomaError) as caught:
        possible_sizes(records, split=split, sizes=[size, 50], seed=0)
    assert str(caught.value) == (
        f"The training side has too few images of a class for 5 disjoint subsets of {size}, half "
        f"of each class; try fewer with --calibration-images."
    )


@pytest.fixture
def small_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainedModel:
    """A run whose network is the small one."""
    from edge_melanoma.converters import conversion
    from edge_melanoma.network import network

    for module in (network, conversion):
        monkeypatch.setattr(module, "load_network", lambda _: make_small_network())
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    manifest = {
        "variant": "frozen",
        "operating_point": {"threshold": 0.5},
        "files": {"weights.safetensors": {"sha256": sha256_of(b"weights")}},
    }
    write_json(tmp_path / "manifest.json", manifest)
    return open_run(tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "settings",
    [ExportSettings(), ExportSettings(backend=Backend.LITERT, output=Output.LOGIT)],
    ids=["defaults", "logit by litert"],
)
def test_every_subset_calibrates_a_file_of_its_own(
    small_run: TrainedModel, tmp_path: Path, settings: ExportSettings
) -> None:
    own = make_calibration(tmp_path)
    convert = make_convert(small_run, settings)
    darker = replace(own, records=own.records[1:6], pixels=own.pixels[1:6])
    assert convert(own) == convert(own) != convert(darker)
