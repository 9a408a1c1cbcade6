"""The pictures that a model is judged on, all or one shard, and what a part says of the whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_melanoma.data.cards import describe_dataset
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.scoring_shard import Shard
from edge_melanoma.data.screening import BadImage, default_fingerprint_folder
from edge_melanoma.evaluation.judged_pictures import (
    LearnedPictures,
    describe_judged,
    read_external_set,
)
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.score_parts import ScorePart
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.pictures import describe_own_side, read_test_side

OF_THE_PART = ("images", "benign", "malignant", "fingerprint")
"""Of a dataset block: what is known of the whole set only when all parts are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOfSet:
    """The pictures of a shard that are to be scored, those that are not, and the set's block."""

    records: tuple[LesionRecord, ...]
    dataset: Mapping[str, Any]
    compared_by: str | None
    listed: int
    left_out: tuple[str, ...] = ()
    bad: tuple[BadImage, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """What is equal in all parts: the set, without what is this part's own."""
        dataset = {**self.dataset, **dict.fromkeys(OF_THE_PART)}
        return {"dataset": dataset, "compared_by": self.compared_by}

    def as_dict(self) -> dict[str, Any]:
        """For evaluation.json."""
        return describe_judged(self.dataset, left_out=self.left_out, compared_by=self.compared_by)

    def as_score_part(
        self,
        common: Mapping[str, Any],
        scores: Mapping[str, PredictionSet],
        *,
        leaked: tuple[str, ...] = (),
    ) -> ScorePart:
        """The part with its scores by mode."""
        return ScorePart(
            common=common,
            records=self.records,
            scores={mode: tuple(found.scores.tolist()) for mode, found in scores.items()},
            listed=self.listed,
            left_out=self.left_out,
            leaked=leaked,
            bad=self.bad,
        )


def part_of_set(
    run: TrainedModel | None,
    data: Path | None,
    learned: LearnedPictures | None,
    shard: Shard,
    *,
    reporter: Reporter,
) -> PartOfSet:
    """The shard of `data`, or of the run's own test side; no other picture is opened."""
    if data is not None:
        cache = default_fingerprint_folder()
        found = read_external_set(data, learned, reporter=reporter, cache_folder=cache, shard=shard)
        return PartOfSet(
            records=found.records,
            dataset=found.dataset,
            compared_by=found.compared_by,
            listed=found.listed,
            left_out=found.left_out,
            bad=found.bad,
        )
    if run is None:
        raise ValueError("neither a run nor a data set")
    records = read_test_side(run, shard=shard)
    dataset = describe_own_side(run, "test", records)
    return PartOfSet(records=records, dataset=dataset, compared_by=None, listed=len(records))


def describe_part(merged: ScorePart) -> dict[str, Any]:
    """The dataset block of all parts together."""
    block = dict(merged.common["dataset"])
    whole = describe_dataset(block["name"], merged.records)
    return block | {name: whole[name] for name in OF_THE_PART}


def tell_part(path: Path, part: ScorePart, shard: Shard) -> None:
    """A line of result: a part has no figures of its own."""
    print(
        f"{path}: part {shard}, {len(part.records)} images scored; give all parts to "
        f"edge-melanoma merge"
    )
