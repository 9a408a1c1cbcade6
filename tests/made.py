"""What several test files make in the same way."""

import numpy as np

from edge_melanoma.predictions import PredictionSet


def predictions_of(*, malignant: tuple[float, ...], benign: tuple[float, ...]) -> PredictionSet:
    """Scores by class, malignant first; the ids number them."""
    count = len(malignant) + len(benign)
    return PredictionSet(
        image_ids=tuple(f"{number}.png" for number in range(count)),
        labels=np.arange(count) < len(malignant),
        scores=np.array([*malignant, *benign], dtype=np.float64),
    )
