"""The run that a compact network learns from, and what `train` refuses to learn from it."""

import numpy as np

from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.runs.artifacts import TrainedModel, sha256_of
from edge_melanoma.training.trainees import Teacher

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
