"""Three answers of two models on the same pictures: who moved towards *not flagged*."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.evaluation.predictions import (
    PredictionSet,
    read_predictions,
    refuse_other_images,
)
from edge_melanoma.evaluation.promises import ANSWERS, Demand, answers_of, choose_promise
from edge_melanoma.runs.converted import ConvertedModel
from edge_melanoma.runs.models import TrainedModel

NUMBERS_OF_DEMAND = ("max_miss", "max_false_alarm", "confidence")
Thresholds = tuple[float, float]
"""Below the first nothing is flagged, from the second one on everything."""


def ends_of(export: ConvertedModel, run: TrainedModel) -> Thresholds:
    """Where a file decides: its two thresholds, or its one twice, or else the network's."""
    lower = float(export.manifest.get("threshold", run.threshold))
    return lower, export.promise["upper"]["threshold"] if export.promise else lower


def compare_answers_of(
    export: ConvertedModel, run: TrainedModel, reference: PredictionSet, candidate: PredictionSet
) -> dict[str, Any] | None:
    """An export of three answers against its network; none where it gives two.

    Each decides at thresholds that keep the same promise on its own scores of validation.
    """
    promise = export.promise
    if promise is None:
        return None
    demand = Demand(**{name: promise[name] for name in NUMBERS_OF_DEMAND})
    validation = read_predictions(run.folder / "predictions_validation.csv")
    own = choose_promise(validation, demand)
    told = compare_answers(
        reference,
        candidate,
        reference_thresholds=(own.lower, own.upper),
        candidate_thresholds=(promise["lower"]["threshold"], promise["upper"]["threshold"]),
    )
    integers = {f"{end}_integer": promise[end]["integer"] for end in ("lower", "upper")}
    return {**told, "candidate": told["candidate"] | integers}


def compare_answers(
    reference: PredictionSet,
    candidate: PredictionSet,
    *,
    reference_thresholds: Thresholds,
    candidate_thresholds: Thresholds,
) -> dict[str, Any]:
    """The `decisions` of a candidate in parity.json.

    `lost` counts every malignant picture that moves towards *not flagged*, by one step or two;
    `counts` has by class a row an answer of the reference and a column one of the candidate.

    Raises:
        EdgeMelanomaError: the sets are of different images.
    """
    refuse_other_images(reference, candidate)
    before, after = (
        answers_of(one.scores, lower=lower, upper=upper)
        for one, (lower, upper) in (
            (reference, reference_thresholds),
            (candidate, candidate_thresholds),
        )
    )
    malignant, steps = reference.labels, after - before
    lost = np.flatnonzero(malignant & (steps < 0))
    return {
        "reference": dict(zip(("lower", "upper"), reference_thresholds, strict=True)),
        "candidate": dict(zip(("lower", "upper"), candidate_thresholds, strict=True)),
        "agreement": float(np.mean(steps == 0)),
        "lost": len(lost),
        "lost_images": [reference.image_ids[place] for place in lost],
        "gained": int((malignant & (steps > 0)).sum()),
        "answered": {
            "reference": float(np.mean(before != ANSWERS.index("refer"))),
            "candidate": float(np.mean(after != ANSWERS.index("refer"))),
        },
        "answers": list(ANSWERS),
        "counts": {
            name: np.bincount(3 * before[kept] + after[kept], minlength=9).reshape(3, 3).tolist()
            for name, kept in (("malignant", malignant), ("benign", ~malignant))
        },
    }


COLUMNS: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("not flagged below", "{0[candidate][lower]:.4f}"),
    ("flagged from", "{0[candidate][upper]:.4f}"),
    ("answered", "{0[answered][candidate]:.1%}"),
    ("by the network", "{0[answered][reference]:.1%}"),
    ("agreement", "{0[agreement]:.2%}"),
    ("malignant lost", "{0[lost]}"),
    ("gained", "{0[gained]}"),
)


def answers_section(found: Mapping[str, Mapping[str, Any]]) -> Sequence[ReportSection]:
    """A row a candidate that gives three answers, by mode; no table where none does."""
    if not found:
        return ()
    section = section_of(
        "Three answers",
        COLUMNS,
        [{"mode": mode, **told} for mode, told in found.items()],
        note="Lost: every malignant picture that moves towards not flagged. Each model decides at "
        "thresholds of its own that keep the same promise on validation.",
    )
    return (section,)
