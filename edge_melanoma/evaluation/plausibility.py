"""Scores that cannot be what their model meant, and what that usually comes from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def explain_equal(scores: Sequence[float]) -> Iterator[str]:
    """A sentence where several pictures all have one score."""
    if len(scores) > 1 and len(set(scores)) == 1:
        yield (
            f"All {len(scores)} pictures have the same score, {scores[0]:g}: usually such a model "
            f"is given other numbers than those it was trained on (see --input-range), or has lost "
            f"its weights."
        )


def explain_reversed(measured: Mapping[str, Any]) -> Iterator[str]:
    """A sentence where the AUC is below a half, by what `measure_set` gives."""
    low, high = measured["intervals"].get("auc") or (0.0, 1.0)
    if high < 0.5:
        yield (
            f"The AUC's 95 % interval, {low:.3f} .. {high:.3f}, lies below 0.5: usually the score "
            f"is that of the benign class (see --malignant-index), or the labels of the pictures "
            f"are swapped."
        )
