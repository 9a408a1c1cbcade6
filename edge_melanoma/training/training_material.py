"""The pictures of a training, where they are from, and who taught about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_melanoma.data.dataset_card import DatasetCard, describe_dataset
from edge_melanoma.data.integrity import Screening
from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.training.trainees import Teacher


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMaterial:
    """What all variants of an order learn from."""

    folders: Mapping[str, Path]
    cards: Mapping[str, DatasetCard | None]
    split: DatasetSplit
    screening: Screening
    teacher: Teacher | None

    def describe(self) -> dict[str, Any]:
        """The dataset block of the run's files."""
        block = describe_dataset(
            " + ".join(self.folders),
            self.screening.readable,
            card=next(iter(self.cards.values())) if len(self.cards) == 1 else None,
        )
        if len(self.cards) > 1:
            block["cards"] = {name: card and card.as_dict() for name, card in self.cards.items()}
        return block | {"folders": {name: str(folder) for name, folder in self.folders.items()}}
