"""The pictures of a bench: those that the contract is for, and external sets beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_melanoma.data.dataset_card import describe_dataset
from edge_melanoma.data.fingerprints import default_fingerprint_folder
from edge_melanoma.data.lesions import LesionRecord, spread
from edge_melanoma.evaluation.external_sets import (
    ExternalSet,
    learned_by_run,
    read_external_set,
    read_external_sets,
)
from edge_melanoma.machine.progress import Reporter
from edge_melanoma.runs.artifacts import TrainedModel
from edge_melanoma.runs.run_data import describe_own_side, read_test_side


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchedSet:
    """The pictures and their dataset block."""

    records: tuple[LesionRecord, ...]
    dataset: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return str(self.dataset["name"])


def benched_set(
    data: Path | None, run: TrainedModel, *, limit: int | None, reporter: Reporter
) -> BenchedSet:
    """At most `limit` pictures of `data`, or of the run's test side."""
    if data is None:
        records = spread(read_test_side(run), limit=limit)
        return BenchedSet(records=records, dataset=describe_own_side(run, "test", records))
    found = read_external_set(
        data, learned_by_run(run), reporter=reporter, cache_folder=default_fingerprint_folder()
    )
    records = spread(found.records, limit=limit)
    dataset = describe_dataset(found.name, records, card=found.card)
    return BenchedSet(records=records, dataset=dataset)


def external_sets(
    folders: Mapping[str, Path], run: TrainedModel, *, limit: int | None, reporter: Reporter
) -> tuple[ExternalSet, ...]:
    """At most `limit` pictures of each external set, without copies of what the run has learned."""
    if not folders:
        return ()
    found = read_external_sets(
        folders, learned_by_run(run), reporter=reporter, cache_folder=default_fingerprint_folder()
    )
    return tuple(replace(one, records=spread(one.records, limit=limit)) for one in found)
