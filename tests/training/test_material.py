"""Learning from a finished run: what is refused, what is learned, what the new run tells of it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.data.listing import read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.data.splits import DatasetSplit, split_lesions
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.network.recipes import VARIANTS, Augmentation, Variant
from edge_melanoma.runs.models import TrainedModel, open_run

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def split(phantoms: Path) -> DatasetSplit:
    """That of the trained run."""
    return split_lesions(screen_images(read_lesions(phantoms)).readable, seed=0)


def refusal_of(result: Any) -> str:
    assert (result.exit_code, result.stdout) == (2, "")
    return str(result.stderr.strip().splitlines()[-1]).removeprefix("edge-melanoma: ")


def test_the_teachers_scores_come_in_the_order_of_the_split(
    trained_run: TrainedModel, split: DatasetSplit
) -> None:
    from edge_melanoma.training.material import read_teacher

    backwards = replace(split, train=split.train[::-1])
    told = read_predictions(trained_run.folder / "predictions_train.csv")
    scores = dict(zip(told.image_ids, told.scores, strict=True))
    expected = np.array([scores[record.image_id] for record in backwards.train], np.float32)
    assert len(set(expected)) > 1
    np.testing.assert_array_equal(read_teacher(trained_run, backwards).scores, expected)


def test_a_teacher_of_another_split_is_refused(
    edge_melanoma: Cli, trained_run: TrainedModel, phantoms: Path, tmp_path: Path
) -> None:
    result = edge_melanoma(
        "train",
        "--variant",
        "compact",
        "--teacher",
        trained_run.folder,
        "--data",
        phantoms,
        "--seed",
        "1",
        "--out",
        tmp_path / "run",
    )
    assert refusal_of(result) == (
        f"The teacher {trained_run.folder} was trained on another split or on other images "
        "(80 of phantoms, --split pooled, --seed 0); repeat its --data, --split and --seed, "
        "or train a teacher with these."
    )


def test_changed_scores_of_a_teacher_are_refused(
    trained_run: TrainedModel, split: DatasetSplit, tmp_path: Path
) -> None:
    from edge_melanoma.training.material import read_teacher

    folder = tmp_path / "teacher"
    shutil.copytree(trained_run.folder, folder)
    path = folder / "predictions_train.csv"
    path.write_text(path.read_text().replace(",1,0.", ",1,0.9", 1))
    with pytest.raises(EdgeMelanomaError) as caught:
        read_teacher(open_run(folder), split)
    assert str(caught.value) == (
        f"{path} is missing or not the file that the teacher's manifest describes; "
        "restore it or train the teacher again."
    )


def test_the_other_variants_take_no_teacher(
    edge_melanoma: Cli, trained_run: TrainedModel, phantoms: Path, tmp_path: Path
) -> None:
    result = edge_melanoma(
        "train",
        "--variant",
        "all",
        "--teacher",
        trained_run.folder,
        "--data",
        phantoms,
        "--out",
        tmp_path / "run",
    )
    assert refusal_of(result) == (
        "--teacher is for --variant compact; the other variants learn from the labels alone."
    )


def test_the_weights_of_a_teacher_need_one(
    edge_melanoma: Cli, phantoms: Path, tmp_path: Path
) -> None:
    result = edge_melanoma(
        "train",
        "--variant",
        "compact",
        "--weights",
        "teacher",
        "--data",
        phantoms,
        "--out",
        tmp_path / "run",
    )
    assert refusal_of(result) == "--weights teacher needs --teacher RUN, a finished run."


def test_plain_pictures_are_taught_by_the_teacher_and_varied_ones_by_their_labels(
    split: DatasetSplit, trained_run: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_melanoma.training import material, training

    plain = VARIANTS[Variant.COMPACT].stages[0]
    varied = replace(plain, name="varied", augmentation=Augmentation())
    spec = replace(VARIANTS[Variant.COMPACT], stages=(plain, varied), teacher_share=0.25)
    monkeypatch.setattr(material, "VARIANTS", {Variant.COMPACT: spec})
    targets: dict[str, Any] = {}

    def note_targets(trainee: Any, **_: Any) -> None:
        labels = trainee.train.labels
        targets[trainee.stage.name] = labels if trainee.targets is None else trainee.targets

    monkeypatch.setattr(training, "fit_stage", note_targets)
    scores = np.linspace(0, 1, len(split.train), dtype=np.float32)
    training.train_network(
        split,
        material.TrainingSettings(variant=Variant.COMPACT, weights="teacher"),
        run_folder=tmp_path,
        cache_folder=tmp_path / "cache",
        reporter=SilentReporter(),
        teacher=material.Teacher(run=trained_run, scores=scores),
    )
    labels = np.array([record.is_malignant for record in split.train], np.float32)
    np.testing.assert_allclose(targets["head"], 0.25 * scores + 0.75 * labels, atol=1e-6)
    np.testing.assert_array_equal(targets["varied"], labels)


@pytest.mark.thorough
def test_a_student_is_a_run_like_any_other_and_names_its_teacher(
    edge_melanoma: Cli,
    trained_run: TrainedModel,
    phantoms: Path,
    split: DatasetSplit,
    tmp_path: Path,
) -> None:
    from edge_melanoma.data.images import read_image, scale_pixels
    from edge_melanoma.network.network import load_network

    result = edge_melanoma(
        "train",
        "--variant",
        "compact",
        "--teacher",
        trained_run.folder,
        "--data",
        phantoms,
        "--epochs",
        "1",
        "--out",
        tmp_path / "student",
        "--cache-dir",
        tmp_path / "cache",
    )
    assert result.exit_code == 0, result.stderr
    run = open_run(tmp_path / "student")
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["teacher"] == {"run": "run", "variant": "frozen", "sha256": trained_run.sha256}
    assert manifest["settings"]["weights"] == "teacher"
    told = read_predictions(run.folder / "predictions_test.csv")
    pictures = np.stack([read_image(record.path) for record in split.test])
    found = load_network(run)(scale_pixels(pictures)).numpy()[:, 0]
    # float32 sums in other batches: as for the frozen prefix.
    np.testing.assert_allclose(found, told.scores, atol=1e-4)
