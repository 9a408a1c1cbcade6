"""The sets that a card looks at again: the run's test side, and what it was judged on outside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_melanoma.card.failures import Failure, FailureSheet, SheetMaker
from edge_melanoma.card.subgroups import SubgroupTable, measure_subgroups
from edge_melanoma.card.traits import read_traits
from edge_melanoma.data.images import read_image_bytes
from edge_melanoma.data.lesions import LesionRecord, read_lesions
from edge_melanoma.data.splits import fingerprint_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, read_predictions
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.pictures import describe_own_side, read_side

TEST_SIDE = "test"

ScoredSets = Iterator[tuple[str, str, Mapping[str, Any], Sequence[LesionRecord], PredictionSet]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSet:
    """A data set whose pictures were looked at again: subgroups and worst errors."""

    name: str
    dataset: Mapping[str, Any]
    subgroups: SubgroupTable
    sheets: Mapping[Failure, FailureSheet]

    def as_dict(self) -> dict[str, Any]:
        """For subgroups.json."""
        return {"name": self.name, "dataset": dict(self.dataset), **self.subgroups.as_dict()}


def judge_run(
    run: TrainedModel, evaluation: Mapping[str, Any], *, sheets: SheetMaker, reporter: Reporter
) -> Iterator[JudgedSet]:
    """The test side, then each external set of the evaluation whose folder is still there.

    Raises:
        EdgeMelanomaError: a picture is missing or is not the one that was scored.
    """
    for name, file_name, dataset, unordered, scores in _scored_sets(run, evaluation, reporter):
        by_id = {record.image_id: record for record in unordered}
        records = [by_id[image_id] for image_id in scores.image_ids]
        traits = read_traits(records, reporter=reporter)
        drawn = {
            kind: sheets.make(
                kind, records=records, predictions=scores, file_name=file_name, set_name=name
            )
            for kind in Failure
        }
        yield JudgedSet(
            name=name,
            dataset=dataset,
            subgroups=measure_subgroups(scores, traits, threshold=sheets.threshold),
            sheets={kind: sheet for kind, sheet in drawn.items() if sheet is not None},
        )


def _scored_sets(
    run: TrainedModel, evaluation: Mapping[str, Any], reporter: Reporter
) -> ScoredSets:
    """Name, part of file names, dataset block, records and scores of each set."""
    own = read_side(run, TEST_SIDE)
    dataset = describe_own_side(run, TEST_SIDE, own)
    scores = read_predictions(run.folder / "predictions_test.csv")
    yield dataset["name"], TEST_SIDE, dataset, own, scores
    for name, block in evaluation.get("external", {}).items():
        folder = Path(run.manifest["external"][name])
        if not folder.is_dir():
            reporter.say(f"The folder of {name} is not there any more: its subgroups are left out.")
            continue
        scores = read_predictions(run.folder / f"predictions_external_{name}.csv")
        records = _scored_records(folder, name, scores, block["dataset"])
        yield f"{name} (outside)", name, block["dataset"], records, scores


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
    scored = [by_id[image_id] for image_id in scores.image_ids]
    records = tuple(replace(one, sha256=sha256_of(read_image_bytes(one.path))) for one in scored)
    if fingerprint_of({dataset["name"]: records}) != dataset["fingerprint"]:
        raise EdgeMelanomaError(
            f"The images or labels of the external set {name} have changed since they were "
            f"scored; restore them, or score the set anew with --external {name}=DIR."
        )
    return records
