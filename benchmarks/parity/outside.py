"""What `bench --external` does: the network and every file on data sets from elsewhere.

Quality alone: nothing is timed there, and no contract holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.parity.comparison import (
    NO_POINT_OF_ITS_OWN,
    find_flips,
    own_point_of,
    subtract,
)
from edge_melanoma.benchmarks.parity.scoring import REFERENCE, Scoring, write_scores
from edge_melanoma.errors import MissingExtraError
from edge_melanoma.evaluation.evaluation import evaluate_defined
from edge_melanoma.evaluation.judged_pictures import JudgedPictures
from edge_melanoma.evaluation.predictions import PredictionSet, refuse_other_images
from edge_melanoma.machine.environment import package_version


def compare_outside(
    found: JudgedPictures,
    reference: PredictionSet,
    candidates: Mapping[str, PredictionSet],
    *,
    threshold: float,
    own_thresholds: Mapping[str, float],
) -> dict[str, Any]:
    """An entry of parity.json's "external": the network's scores beside those of each mode.

    All is at the reference's threshold, but for the one of `operating_points`: the file's own, by
    which a phone decides, of those that `own_thresholds` has one for. What one class alone does not
    define is none.

    Raises:
        EdgeMelanomaError: the sets are of different images.
    """
    before = evaluate_defined(reference, threshold=threshold)
    return {
        **found.as_dict(),
        "reference": {"mode": REFERENCE, **_figures(before)},
        "candidates": [
            {
                "mode": mode,
                **_compare(reference, scores, before, threshold=threshold),
                "operating_points": [
                    _at_own(scores, threshold=threshold, own_threshold=own_thresholds.get(mode))
                ],
            }
            for mode, scores in candidates.items()
        ],
    }


def _compare(
    reference: PredictionSet,
    candidate: PredictionSet,
    before: Mapping[str, Any],
    *,
    threshold: float,
) -> dict[str, Any]:
    refuse_other_images(reference, candidate)
    after = evaluate_defined(candidate, threshold=threshold)
    flips = find_flips(reference, candidate, threshold=threshold).counts()
    return {
        **_figures(after),
        "drop": {
            name: subtract(value, after["metrics"][name])
            for name, value in before["metrics"].items()
        },
        "agreement": 1 - sum(flips.values()) / len(reference.labels),
        "max_score_difference": float(np.abs(reference.scores - candidate.scores).max()),
        "flips": flips,
    }


def _at_own(
    candidate: PredictionSet, *, threshold: float, own_threshold: float | None
) -> dict[str, Any]:
    told = {"name": "own", "reference_threshold": threshold, "candidate_threshold": own_threshold}
    if own_threshold is None:
        return told | {"missing": NO_POINT_OF_ITS_OWN}
    found = _figures(evaluate_defined(candidate, threshold=own_threshold))
    return told | {"missing": None, "candidate": found.pop("metrics"), **found}


def _figures(measured: Mapping[str, Any]) -> dict[str, Any]:
    return {name: measured[name] for name in ("metrics", "intervals", "undefined")}


def refuse_missing_reference(external: Mapping[str, Path]) -> None:
    """The reference of a set from elsewhere is scored with Keras, which is not in the light core.

    Raises:
        MissingExtraError: there are such sets, and no TensorFlow.
    """
    if external and package_version("tensorflow") is None:
        raise MissingExtraError.for_package(
            "tensorflow", extra="train", purpose="bench --external, for the reference,"
        )


def measure_outside(
    scoring: Scoring, external: Sequence[JudgedPictures], folder: Path
) -> tuple[dict[str, Any], ...]:
    """Score each set with each model, keep the scores in the bench `folder`, and compare."""
    points = {model.mode: own_point_of(model.manifest) for model in scoring.exports}
    own = {mode: point["threshold"] for mode, point in points.items() if point}
    outcomes = []
    for found in external:
        elsewhere = replace(
            scoring,
            records=found.records,
            is_test_side=False,
            finished={},
            without_score={},
            refused={},
        )
        scoring.reporter.say(f"Scoring {found.name}")
        scores = elsewhere.score()
        write_scores(folder / "external" / found.name, scores)
        reference = scores.pop(REFERENCE)
        outcomes.append(
            compare_outside(
                found,
                reference,
                scores,
                threshold=scoring.run.threshold,
                own_thresholds=own,
            )
        )
    return tuple(outcomes)
