"""A study of calibration: disjoint subsets, scored on validation, kept, and told in numbers."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CommandResult
from made import predictions_of
from PIL import Image
from small_network import make_calibration, make_small_network

from edge_melanoma.artifacts import TrainedModel, open_run, read_json, sha256_of, write_json
from edge_melanoma.converters import calibration_study
from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.calibration_study import (
    CalibrationStudy,
    draw_calibration_study,
    refuse_other_exports,
    study_calibration,
    study_path,
)
from edge_melanoma.converters.calibration_trials import (
    Trial,
    TrialOrder,
    convert_int8,
    run_trials,
    try_subsets,
)
from edge_melanoma.converters.export_settings import ExportSettings, TuningSettings
from edge_melanoma.converters.modes import Backend, Correction, InputOutput, Mode, Output
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.images import hash_bytes
from edge_melanoma.lesions import read_lesions
from edge_melanoma.predictions import make_prediction_set, predictions_to_csv
from edge_melanoma.progress import SilentReporter
from edge_melanoma.run_data import read_run_records

# At 0.5 all four melanomas are called, and no benign picture.
REFERENCE = predictions_of(malignant=(0.9, 0.8, 0.7, 0.6), benign=(0.4, 0.3, 0.2, 0.1))
TRIAL = Trial(
    images=10,
    fingerprint="f",
    file_sha256="s",
    recall=0.75,
    specificity=1.0,
    auc=0.9,
    mean_score_difference=0.01,
    agreement=0.99,
)
# Ten are the fewest images; five disjoint subsets of them take all 25 of each class.
SETTINGS = ExportSettings(calibration_images=10)
TRAINING, ALL = 25, 30

imports_tfmot = pytest.mark.filterwarnings(
    # The model optimization toolkit asks for TensorFlow's version in an old way.
    "ignore:distutils Version classes are deprecated:DeprecationWarning"
)


@pytest.fixture
def run(tmp_path: Path) -> TrainedModel:
    """30 pictures of each class, of which 25 train, 3 validate and 2 test; the weights are none."""
    data = tmp_path / "data"
    for name, first in (("benign", 0), ("malignant", 100)):
        (data / name).mkdir(parents=True)
        for number in range(ALL):
            grey = (first + number,) * 3
            Image.new("RGB", (8, 8), grey).save(data / name / f"{number:02}.png")
    records = read_lesions(data)
    numbers = {record: int(record.path.stem) for record in records}
    validation = [r for r in records if TRAINING <= numbers[r] < TRAINING + 3]
    split = {
        "train": [r.image_id for r in records if numbers[r] < TRAINING],
        "validation": [r.image_id for r in validation],
        "test": [r.image_id for r in records if numbers[r] >= TRAINING + 3],
        "sha256": {r.image_id: hash_bytes(r.path.read_bytes()) for r in records},
    }
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(b"weights")
    write_json(folder / "split.json", split)
    scores = make_prediction_set(validation, np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9]))
    (folder / "predictions_validation.csv").write_text(predictions_to_csv(scores))
    manifest = {
        "variant": "frozen",
        "dataset": {"name": "greys", "folder": str(data)},
        "operating_point": {"threshold": 0.5},
        "files": {"weights.safetensors": {"sha256": sha256_of(b"weights")}},
    }
    write_json(folder / "manifest.json", manifest)
    return open_run(folder)


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[TrialOrder]:
    """What was asked of the child process, in whose place trials with growing AUC are made."""
    asked: list[TrialOrder] = []

    def answer(function: Callable[..., Any], order: TrialOrder) -> tuple[Trial, ...]:
        assert function is run_trials
        asked.append(order)
        return tuple(
            replace(
                TRIAL,
                images=len(subset.records),
                fingerprint=subset.fingerprint,
                auc=(90 + number) / 100,
            )
            for number, subset in enumerate(order.subsets)
        )

    monkeypatch.setattr(calibration_study, "run_in_child", answer)
    return asked


def study(
    run: TrainedModel, settings: ExportSettings = SETTINGS, *, force: bool = False
) -> CalibrationStudy:
    return study_calibration(run, records=read_run_records(run), settings=settings, force=force)


def study_of(*trials: Trial, calibration_images: int = 10) -> CalibrationStudy:
    return CalibrationStudy(
        plan={
            "settings": {"calibration_images": calibration_images},
            "threshold": 0.5,
            "validation": {"name": "a$b, validation side", "malignant": 40},
        },
        reference={"recall": 0.8, "auc": 0.91},
        trials=trials,
    )


def test_five_disjoint_subsets_of_the_training_side_are_scored_on_the_validation_side(
    run: TrainedModel, orders: list[TrialOrder]
) -> None:
    study(run)
    (order,) = orders
    split = read_json(run.folder / "split.json")
    drawn = [record.image_id for subset in order.subsets for record in subset.records]
    assert len(order.subsets) == 5
    assert sorted(drawn) == sorted(split["train"])
    assert [record.image_id for record in order.validation] == split["validation"]
    # An export's own images are the first subset of their number.
    assert order.subsets[0] == order.own


def test_the_file_says_what_decided_the_study_and_what_every_subset_gave(
    run: TrainedModel, orders: list[TrialOrder]
) -> None:
    made = study(run, replace(SETTINGS, seed=3, correction=Correction.NONE))
    content = read_json(study_path(run))
    assert (content["schema"], content["seed"], content["threshold"]) == (1, 3, 0.5)
    assert content["settings"]["bias_correction"] == "none"
    assert content["source_sha256"] == run.sha256
    assert content["left_out"] == [50, 100, 200, 500, 1000]
    # Of the stored scores 0.8 and 0.9 are melanomas called, 0.4 is one that is not.
    assert content["reference"]["recall"] == 2 / 3
    assert content["reference"]["auc"] == 1.0
    told = content["validation"]
    assert (told["name"], told["images"], told["malignant"]) == ("greys, validation side", 6, 3)
    fingerprints = [subset.fingerprint for subset in orders[0].subsets]
    assert [trial["fingerprint"] for trial in content["subsets"]] == fingerprints
    assert [trial["auc"] for trial in content["subsets"]] == [0.9, 0.91, 0.92, 0.93, 0.94]
    assert content["conclusion"] == made.conclude()
    with Image.open(study_path(run).with_suffix(".png")) as picture:
        assert picture.format == "PNG"


def test_a_study_of_the_same_settings_is_shown_again(
    run: TrainedModel, orders: list[TrialOrder]
) -> None:
    first = study(run)
    before = study_path(run).stat().st_mtime_ns
    assert study(run) == first
    assert len(orders) == 1
    assert study_path(run).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"correction": Correction.NONE}, {"io": InputOutput.UINT8}],
    ids=str,
)
def test_another_study_is_replaced_by_force_alone(
    run: TrainedModel, orders: list[TrialOrder], other: dict[str, Any]
) -> None:
    study(run)
    with pytest.raises(EdgeMelanomaError) as caught:
        study(run, replace(SETTINGS, **other))
    assert str(caught.value) == (
        f"{study_path(run)} was made with other settings; replace it with --force, or move it away."
    )
    assert len(orders) == 1
    study(run, replace(SETTINGS, **other), force=True)
    assert len(orders) == 2
    assert read_json(study_path(run))["seed"] == other.get("seed", 0)


def test_a_study_of_other_images_is_not_shown_again(
    run: TrainedModel, orders: list[TrialOrder]
) -> None:
    study(run)
    content = read_json(study_path(run))
    content["subsets"][2]["fingerprint"] = "that of other images"
    study_path(run).write_text(json.dumps(content))
    with pytest.raises(EdgeMelanomaError, match="was made with other settings"):
        study(run)


def test_a_training_side_for_no_five_subsets_is_refused(
    run: TrainedModel, orders: list[TrialOrder]
) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        study(run, replace(SETTINGS, calibration_images=11))
    assert str(caught.value) == (
        "The training side has too few images of a class for 5 disjoint subsets of 11, half of "
        "each class; try fewer with --calibration-images."
    )
    assert orders == []


@pytest.mark.parametrize(
    ("settings", "modes", "sentence"),
    [
        (
            ExportSettings(),
            (Mode.FLOAT32, Mode.INT8, Mode.INT8_QAT),
            "--calibration-study repeats int8 alone; leave --quantize out.",
        ),
        (
            ExportSettings(),
            (Mode.FLOAT32,),
            "--calibration-study repeats int8 alone; leave --quantize out.",
        ),
        *(
            (
                settings,
                (Mode.FLOAT32, Mode.INT8),
                f"{option} has no part in --calibration-study, which repeats int8 as calibration "
                f"alone makes it; leave one of the two out.",
            )
            for settings, option in (
                (ExportSettings(max_recall_drop=0.0), "--max-recall-drop"),
                (ExportSettings(tuning=TuningSettings(epochs=4)), "--qat-epochs"),
                (ExportSettings(tuning=TuningSettings(learning_rate=0)), "--qat-learning-rate"),
            )
        ),
        (
            ExportSettings(output=Output.FLOAT32, backend=Backend.LITERT),
            (Mode.INT8,),
            "--output float32 is made by --backend converter only; choose that, or --output logit.",
        ),
    ],
)
def test_a_choice_without_a_part_in_the_study_is_refused(
    settings: ExportSettings, modes: tuple[Mode, ...], sentence: str
) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        refuse_other_exports(settings, modes)
    assert str(caught.value) == sentence


def test_int8_alone_or_with_the_float_file_is_what_a_study_is_of() -> None:
    refuse_other_exports(ExportSettings(), (Mode.INT8,))
    refuse_other_exports(ExportSettings(output=Output.LOGIT), (Mode.FLOAT32, Mode.INT8))


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
        reporter=SilentReporter(),
    )
    assert (same.recall, same.auc, same.mean_score_difference, same.agreement) == (1, 1, 0, 1)
    assert (other.recall, other.specificity, other.auc) == (3 / 4, 1, 15.5 / 16)
    assert other.mean_score_difference == pytest.approx(0.2 / 8)
    assert other.agreement == 7 / 8
    assert (other.images, other.fingerprint) == (10, calibration.fingerprint)
    assert (same.file_sha256, other.file_sha256) == (sha256_of(b"same"), sha256_of(b"other"))


def test_scores_of_other_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match="are of different images"):
        try_subsets(
            [make_calibration(tmp_path)],
            convert=lambda _: b"",
            score=lambda _: predictions_of(malignant=(0.9,), benign=(0.1,)),
            reference=REFERENCE,
            threshold=0.5,
            reporter=SilentReporter(),
        )


def test_the_conclusion_is_of_the_size_that_an_export_has() -> None:
    trials = [
        *(replace(TRIAL, images=10, recall=recall) for recall in (0.7, 0.8)),
        *(replace(TRIAL, images=50, recall=0.75, auc=auc) for auc in (0.90, 0.92, 0.91)),
        replace(TRIAL, images=50, recall=0.775),
    ]
    assert study_of(*trials, calibration_images=50).conclude() == (
        "With 50 images, the choice of images moves recall by 0.0250 (1 of 40 malignant images) "
        "and AUC by 0.0200; the lowest recall is 0.7500, -0.0500 against float, and recall moves "
        "most with 10 images, by 0.1000."
    )
    small, largest = (study_of(*trials, calibration_images=n).conclude() for n in (10, 200))
    assert small.startswith("With 10 images, the choice of images moves recall by 0.1000 (4 of 40")
    assert largest == study_of(*trials, calibration_images=50).conclude()


def test_the_picture_shows_the_numbers_and_is_the_same_each_time(tmp_path: Path) -> None:
    trials = [TRIAL, replace(TRIAL, recall=0.8), replace(TRIAL, images=50)]
    first, again, recall, auc = (
        draw_calibration_study(study_of(*drawn), tmp_path / f"{number}.png").read_bytes()
        for number, drawn in enumerate(
            (
                trials,
                trials,
                [replace(TRIAL, recall=0.7), *trials[1:]],
                [replace(TRIAL, auc=0.7), *trials[1:]],
            )
        )
    )
    assert first == again
    assert len({first, recall, auc}) == 3


def test_the_command_prints_a_row_a_size_and_what_was_left_out(
    run: TrainedModel,
    orders: list[TrialOrder],
    edge_melanoma: Callable[..., CommandResult],
) -> None:
    result = edge_melanoma(
        "export", run.folder, "--calibration-study", "--calibration-images", "10"
    )
    assert result.exit_code == 0
    rows = [line.split("│") for line in result.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row[1:-1]] for row in rows] == [
        ["float, stored scores", "", "0.6667", "", "1.0000", "", "", ""],
        ["10", "5", "0.7500", "0.7500 .. 0.7500", "0.9200", "0.9000 .. 0.9400", "0.0100", "0.9900"],
    ]
    after = result.stdout.splitlines()[-4:]
    assert after[0] == (
        "Left out: 50, 100, 200, 500, 1000 images, of which the training side has no 5 disjoint "
        "subsets with half of each class."
    )
    assert after[1].startswith("With 10 images, the choice of images moves recall by 0.0000")
    assert after[2:] == [str(study_path(run)), str(study_path(run).with_suffix(".png"))]
    assert list(run.exports_folder.glob("*.tflite")) == []


def test_the_command_refuses_a_recall_limit_beside_a_study(
    run: TrainedModel, edge_melanoma: Callable[..., CommandResult]
) -> None:
    result = edge_melanoma(
        "export", run.folder, "--calibration-study", "--max-recall-drop", "0.005"
    )
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--max-recall-drop has no part in --calibration-study" in result.stderr


@pytest.fixture
def small_order(
    run: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[ExportSettings], TrialOrder]:
    """An order for the run with the small network in place of its own."""
    from edge_melanoma import network
    from edge_melanoma.converters import conversion
    from edge_melanoma.run_data import read_side

    for module in (network, conversion):
        monkeypatch.setattr(module, "load_network", lambda _: make_small_network())
    greens = tmp_path / "greens"
    greens.mkdir()
    own = make_calibration(greens)
    few = CalibrationSet(records=own.records[3:7], seed=0, training_hashes=own.training_hashes)
    return lambda settings: TrialOrder(
        folder=run.folder,
        settings=settings,
        own=own,
        subsets=(own, few),
        validation=read_side(run, "validation"),
    )


@imports_tfmot
@pytest.mark.parametrize(
    "settings",
    [
        ExportSettings(),
        ExportSettings(io=InputOutput.UINT8, correction=Correction.NONE),
        ExportSettings(output=Output.FLOAT32),
        ExportSettings(backend=Backend.LITERT, output=Output.LOGIT),
    ],
    ids=["plain", "uint8", "float end", "logit by litert"],
)
def test_the_images_of_an_export_give_its_very_file(
    small_order: Callable[[ExportSettings], TrialOrder], settings: ExportSettings, tmp_path: Path
) -> None:
    from edge_melanoma.converters.conversion import convert_modes
    from edge_melanoma.converters.folding import fold_batch_norm
    from edge_melanoma.converters.orders import ConversionOrder
    from edge_melanoma.converters.pruning import prune_dead_channels

    order = small_order(settings)
    export = ConversionOrder(
        folder=order.folder,
        modes=(Mode.INT8,),
        settings=settings,
        calibration=order.own,
        sides={},
        checkpoint_folder=tmp_path,
        cache_folder=tmp_path,
    )
    network, _ = prune_dead_channels(fold_batch_norm(make_small_network()), order.own.batches())
    expected = convert_modes(export)[Mode.INT8].data
    assert convert_int8(network, order.own, settings) == expected
    assert convert_int8(network, order.subsets[1], settings) != expected


@imports_tfmot
def test_every_subset_gives_a_file_that_is_scored_on_validation(
    small_order: Callable[[ExportSettings], TrialOrder], capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = run_trials(small_order(ExportSettings(correction=Correction.NONE)))
    assert (first.images, second.images) == (10, 4)
    assert first.file_sha256 != second.file_sha256
    # Rounded away, green says nothing: one score, sigmoid(-9), for all.
    assert (first.recall, first.specificity, first.auc) == (0.0, 1.0, 0.5)
    assert first.mean_score_difference == pytest.approx(2.7 / 6, abs=1 / 256)
    assert first.agreement == 4 / 6
    assert capfd.readouterr().out == ""
