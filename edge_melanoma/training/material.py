"""The pictures of a training, where they are from, and who taught about them.

The run that a compact network learns from, and what `train` refuses to learn from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.data.cards import DatasetCard, describe_dataset
from edge_melanoma.data.screening import Screening
from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.runs.models import TrainedModel
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


PREDICTIONS = "predictions_train.csv"


def read_teacher(run: TrainedModel, split: DatasetSplit) -> Teacher:
    """The run with its scores of the training side of `split`, which must be its own split.

    Else the student would be judged on pictures that its teacher learned by heart.

    Raises:
        EdgeMelanomaError: other pictures or another split, or the scores are not the manifest's.
    """
    theirs = run.manifest["split"]
    if theirs["fingerprint"] != split.fingerprint:
        dataset = run.manifest["dataset"]
        raise EdgeMelanomaError(
            f"The teacher {run.folder} was trained on another split or on other images "
            f"({dataset['images']} of {dataset['name']}, --split {theirs['kind']}, "
            f"--seed {theirs['seed']}); repeat its --data, --split and --seed, "
            f"or train a teacher with these."
        )
    path = run.folder / PREDICTIONS
    told = run.manifest["files"].get(PREDICTIONS, {}).get("sha256")
    if not path.is_file() or sha256_of(path.read_bytes()) != told:
        raise EdgeMelanomaError(
            f"{path} is missing or not the file that the teacher's manifest describes; "
            f"restore it or train the teacher again."
        )
    predictions = read_predictions(path)
    by_id = dict(zip(predictions.image_ids, predictions.scores, strict=True))
    scores = np.array([by_id[record.image_id] for record in split.train], dtype=np.float32)
    return Teacher(run=run, scores=scores)
