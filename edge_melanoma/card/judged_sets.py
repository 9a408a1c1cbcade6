"""The sets that a card looks at again: the run's test side, and what it was judged on outside."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.card.facts import FailureSheet, JudgedSet
from edge_melanoma.card.failure_sheets import (
    FailedCase,
    Failure,
    count_failures,
    draw_failure_sheet,
    worst_failures,
)
from edge_melanoma.card.subgroups import measure_subgroups
from edge_melanoma.card.traits import read_traits
from edge_melanoma.data.images import read_image, read_image_bytes
from edge_melanoma.data.lesions import LesionRecord, read_lesions
from edge_melanoma.data.splits import fingerprint_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, read_predictions
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.pictures import describe_own_side, read_side

TEST_SIDE = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A run and its network, where sheets go, the card that links to them, and cases a sheet."""

    run: TrainedModel
    network: Any
    sheets: Path
    card: Path
    cases: int
    reporter: Reporter


def judge_run(judge: Judge, evaluation: Mapping[str, Any]) -> Iterator[JudgedSet]:
    """The test side, then each external set of the evaluation whose folder is still there.

    Raises:
        EdgeMelanomaError: a picture is missing or is not the one that was scored.
    """
    run = judge.run
    records = read_side(run, "test")
    dataset = describe_own_side(run, TEST_SIDE, records)
    scores = read_predictions(run.folder / "predictions_test.csv")
    yield _judge_set(judge, TEST_SIDE, dataset["name"], dataset, records, scores)
    folders = run.manifest.get("external", {})
    for name, block in evaluation.get("external", {}).items():
        folder = Path(folders[name])
        if not folder.is_dir():
            judge.reporter.say(
                f"The folder of {name} is not there any more: its subgroups are left out."
            )
            continue
        scores = read_predictions(run.folder / f"predictions_external_{name}.csv")
        records = _scored_records(folder, name, scores, block["dataset"])
        yield _judge_set(judge, name, f"{name} (outside)", block["dataset"], records, scores)


def _scored_records(
    folder: Path, name: str, scores: PredictionSet, dataset: Mapping[str, Any]
) -> tuple[LesionRecord, ...]:
    by_id = {record.image_id: record for record in read_lesions(folder)}
    missing = [image_id for image_id in scores.image_ids if image_id not in by_id]
    if missing:
        raise EdgeMelanomaError(
            f"The image {missing[0]} of the external set {name} is missing; restore it, or score "
            f"the set anew with --external {name}=DIR."
        )
    records = tuple(
        replace(record, sha256=sha256_of(read_image_bytes(record.path)))
        for record in (by_id[image_id] for image_id in scores.image_ids)
    )
    if fingerprint_of({dataset["name"]: records}) != dataset["fingerprint"]:
        raise EdgeMelanomaError(
            f"The images or labels of the external set {name} have changed since they were "
            f"scored; restore them, or score the set anew with --external {name}=DIR."
        )
    return records


def _judge_set(
    judge: Judge,
    short: str,
    name: str,
    dataset: Mapping[str, Any],
    records: Sequence[LesionRecord],
    scores: PredictionSet,
) -> JudgedSet:
    by_id = {record.image_id: record for record in records}
    ordered = [by_id[image_id] for image_id in scores.image_ids]
    traits = read_traits(ordered, reporter=judge.reporter)
    sheets = {
        kind: sheet
        for kind in Failure
        if (sheet := _draw_sheet(judge, short, name, ordered, scores, kind)) is not None
    }
    return JudgedSet(
        name=name,
        dataset=dataset,
        subgroups=measure_subgroups(scores, traits, threshold=judge.run.threshold),
        sheets=sheets,
    )


def _draw_sheet(
    judge: Judge,
    short: str,
    name: str,
    records: Sequence[LesionRecord],
    scores: PredictionSet,
    kind: Failure,
) -> FailureSheet | None:
    """The sheet of one kind of error, or none where there is no such error."""
    threshold = judge.run.threshold
    places = worst_failures(scores, kind=kind, threshold=threshold, limit=judge.cases)
    errors, images = count_failures(scores, kind=kind, threshold=threshold)
    if not errors:
        return None
    if not places:
        return FailureSheet(link=None, shown=0, errors=errors, images=images)
    from edge_melanoma.card.gradcam import Decision, heat_maps

    pictures = np.stack([read_image(records[place].path) for place in places])
    decision = Decision.BENIGN if kind is Failure.MISS else Decision.MALIGNANT
    heats = heat_maps(judge.network, pictures, decision=decision)
    cases = [
        FailedCase(
            image_id=scores.image_ids[place],
            score=float(scores.scores[place]),
            picture=picture,
            heat=heat,
        )
        for place, picture, heat in zip(places, pictures, heats, strict=True)
    ]
    path = judge.sheets / f"{kind.value.replace(' ', '_')}_{short}.png"
    title = (
        f"{judge.run.variant} on {name}: {kind.plural}, the worst {len(cases)} of {errors}, among "
        f"{images} {kind.truth} pictures at threshold {threshold:.3f}"
    )
    draw_failure_sheet(cases, path, title=title)
    link = Path(os.path.relpath(path.resolve(), judge.card.resolve().parent)).as_posix()
    return FailureSheet(link=link, shown=len(cases), errors=errors, images=images)
