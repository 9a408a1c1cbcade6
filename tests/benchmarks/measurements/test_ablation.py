"""The table of shortened recipes, and what a change does to the recipe."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ablation import (
    ABLATIONS,
    SHORT_EPOCHS,
    SHORT_SIZE,
    Ablation,
    judge,
    known_rows,
    leave_out,
    render,
    shorten,
)

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.splits import DatasetSplit, SplitKind
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine.files import write_json
from edge_melanoma.network.recipes import BACKBONE_LAYERS, BEST


def test_a_change_is_the_only_difference_between_two_short_recipes() -> None:
    plain = shorten(BEST, Ablation())
    (stage,) = plain.stages
    assert (stage.image_size, stage.epochs) == (SHORT_SIZE, SHORT_EPOCHS)
    whole = shorten(BEST, ABLATIONS["every layer trains"])
    assert whole == replace(
        plain, stages=(replace(stage, unfrozen_backbone_layers=BACKBONE_LAYERS),)
    )
    once = shorten(BEST, ABLATIONS["every picture once"])
    assert once == replace(plain, source_share=None)


def test_every_change_but_the_first_and_that_of_the_data_changes_the_recipe() -> None:
    plain = shorten(BEST, Ablation())
    same = {name for name, change in ABLATIONS.items() if shorten(BEST, change) == plain}
    assert same == {"best, in short", "largest set alone"}


def test_a_model_is_judged_on_all_sets_and_within_each() -> None:
    labels = np.array([False, True, False, True])
    predictions = PredictionSet(
        image_ids=("a", "b", "c", "d"), labels=labels, scores=np.array([0.6, 0.9, 0.1, 0.5])
    )
    told = judge(predictions, np.array(["one", "one", "two", "two"]))
    assert told["auc"] == 3 / 4
    assert told["auc_by_source"] == {"one": 1.0, "two": 1.0}
    assert told["specificity"] == 1 / 2


def render_row(row: dict[str, Any], *, left_out: str | None) -> list[str]:
    return render(
        {
            "rows": {"best, in short": row},
            "images": {"train": 10, "validation": 4},
            "machine": {"cpu": "A CPU", "cores": 2},
            "epochs": 2,
            "size": 96,
            "left_out": left_out,
        }
    )


def test_the_table_tells_pictures_epochs_and_size() -> None:
    row: dict[str, Any] = {
        "auc": 0.9,
        "specificity": 0.75,
        "auc_by_source": {"one": 0.95, "two": 0.85},
        "cpu_seconds": 90,
    }
    lines = render_row(row, left_out=None)
    assert lines[2] == "| best, in short | 0.9000 | 0.750 | one 0.9500, two 0.8500 | 1.5 |"
    assert lines[-1].startswith(
        "10 training and 4 validation pictures, 2 epochs at 96 pixels, one seed, A CPU, 2 cores."
    )


def pictures_of(source: str, side: str, *, cluster: str | None = None) -> list[LesionRecord]:
    """A benign and a malignant one; the benign one has copies where there is a cluster."""
    return [
        LesionRecord(
            image_id=f"{source}:{side}/{name}.png",
            path=Path(source, side, f"{name}.png"),
            is_malignant=name == "malignant",
            source=source,
            sha256=f"{source} {side} {name}",
            cluster=cluster if name == "benign" else None,
        )
        for name in ("benign", "malignant")
    ]


def test_what_is_left_out_is_judged_and_neither_it_nor_a_copy_of_it_trains() -> None:
    own, with_copy = pictures_of("one", "train"), pictures_of("one", "more", cluster="7")
    judged, test = pictures_of("two", "validation", cluster="7"), pictures_of("two", "test")
    split = DatasetSplit(
        train=tuple(own),
        validation=(*with_copy, *judged),
        test=tuple(test),
        kind=SplitKind.FOLDERS,
        seed=0,
    )
    found = leave_out(split, "two")
    assert found.train == tuple(own)
    assert found.validation == (with_copy[1], *judged)
    assert found.test == tuple(test)


def split_of(*sources: str) -> DatasetSplit:
    """Two pictures of the first source train, two of the second validate, two of the third test."""
    train, validation, test = sources
    return DatasetSplit(
        train=tuple(pictures_of(train, "train")),
        validation=tuple(pictures_of(validation, "validation")),
        test=tuple(pictures_of(test, "test")),
        kind=SplitKind.FOLDERS,
        seed=0,
    )


def test_rows_are_gone_on_with_where_they_are_of_the_same_pictures_size_and_length(
    tmp_path: Path,
) -> None:
    file = tmp_path / "ablation.json"
    split = split_of("one", "two", "three")
    assert known_rows(file, split) == {}
    told = {
        "split": split.fingerprint,
        "size": SHORT_SIZE,
        "epochs": SHORT_EPOCHS,
        "rows": {"best, in short": {"auc": 0.9}},
    }
    write_json(file, told)
    assert known_rows(file, split) == told["rows"]
    with pytest.raises(
        EdgeMelanomaError, match=r"ablation\.json holds trainings on other pictures"
    ):
        known_rows(file, split_of("two", "one", "three"))
    write_json(file, {**told, "epochs": SHORT_EPOCHS + 1})
    with pytest.raises(EdgeMelanomaError, match="another size or length"):
        known_rows(file, split)


def test_leaving_out_all_or_nothing_is_refused() -> None:
    split = split_of("one", "one", "two")
    for name in ("one", "three"):
        with pytest.raises(EdgeMelanomaError, match=f"--left-out {name} leaves nothing to"):
            leave_out(split, name)


def test_the_table_of_a_set_left_out_has_its_figures_first() -> None:
    row = {"auc_by_source": {"one": 0.95, "two": 0.85}, "cpu_seconds": 60}
    lines = render_row(row, left_out="two")
    assert lines[0] == "| recipe | AUC on two, left out | AUC on validation | CPU min |"
    assert lines[2] == "| best, in short | 0.8500 | one 0.9500 | 1.0 |"
    assert lines[-1].endswith("ablation.py --left-out two`.")
