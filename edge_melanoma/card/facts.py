"""What a model card is filled from, all of it read from a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_melanoma.card.failure_sheets import Failure
from edge_melanoma.card.subgroups import SubgroupTable
from edge_melanoma.runs.models import TrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureSheet:
    """A sheet: its link from the card (none where it was not drawn), the errors on it, and all."""

    link: str | None
    shown: int
    errors: int
    images: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """A run's manifest, evaluation and split, and what was made of it.

    `exports` are the manifests of the .tflite files by file name, `parity` is bench/parity.json
    where there is one, `parameters` the number of the network's weights. `judged` are the sets
    whose pictures are still there, the run's own test side first.
    """

    run: TrainedModel
    evaluation: Mapping[str, Any]
    split: Mapping[str, Any]
    parameters: int
    judged: tuple[JudgedSet, ...]
    exports: Mapping[str, Mapping[str, Any]]
    parity: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a card: its heading, the CLAIM items that it answers, its lines of Markdown."""

    title: str
    claim_2024: tuple[int, ...]
    claim_2020: tuple[int, ...]
    lines: tuple[str, ...]
