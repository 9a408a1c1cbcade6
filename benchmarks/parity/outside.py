"""The trained network and its exported files on pictures from elsewhere: quality, not time.

What `bench --external` does: the network and every file on data sets from elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.parity.comparison import Flips, find_flips
from edge_melanoma.errors import MissingExtraError
from edge_melanoma.evaluation.evaluation import evaluate_defined
from edge_melanoma.evaluation.judged_pictures import JudgedPictures
from edge_melanoma.evaluation.predictions import (
    Classifier,
    PredictionSet,
    predict,
    predictions_to_csv,
    refuse_other_images,
)
from edge_melanoma.machine.environment import package_version
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.models import ConvertedModel, TrainedModel
from edge_melanoma.runtime.classifiers import KerasClassifier, TFLiteClassifier
from edge_melanoma.runtime.names import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideCandidate:
    """An exported file on an external set; what one class alone does not define is none.

    `measured` is at the reference's threshold, as drop, agreement and flips are; `own` is at the
    file's own, by which a phone decides, none for a file without one.
    """

    mode: str
    measured: Mapping[str, Any]
    own: Mapping[str, Any] | None
    drop: Mapping[str, float | None]
    agreement: float
    max_score_difference: float
    flips: Flips

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        return {
            "mode": self.mode,
            **_figures(self.measured),
            "drop": dict(self.drop),
            "agreement": self.agreement,
            "max_score_difference": self.max_score_difference,
            "flips": self.flips.counts(),
            "at_own_threshold": self.own
            and {"threshold": self.own["threshold"], **_figures(self.own)},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideParity:
    """One external set; `reference` holds metrics, intervals and what is undefined."""

    described: Mapping[str, Any]
    reference: Mapping[str, Any]
    candidates: tuple[OutsideCandidate, ...]

    def as_dict(self) -> dict[str, Any]:
        """For parity.json: dataset, what was left out of it, reference and candidates."""
        return {
            **self.described,
            "reference": {"mode": "keras", **_figures(self.reference)},
            "candidates": [candidate.as_dict() for candidate in self.candidates],
        }


def compare_outside(
    found: JudgedPictures,
    reference: PredictionSet,
    candidates: Mapping[str, PredictionSet],
    *,
    threshold: float,
    own_thresholds: Mapping[str, float],
) -> OutsideParity:
    """Pair the network's scores of an external set with those of each file, by mode.

    `own_thresholds` are by mode too, of the files that have one.
    """
    before = evaluate_defined(reference, threshold=threshold)
    return OutsideParity(
        described=found.as_dict(),
        reference=before,
        candidates=tuple(
            _compare_one(
                mode,
                before,
                reference,
                scores,
                threshold=threshold,
                own_threshold=own_thresholds.get(mode),
            )
            for mode, scores in candidates.items()
        ),
    )


def _compare_one(
    mode: str,
    before: Mapping[str, Any],
    reference: PredictionSet,
    candidate: PredictionSet,
    *,
    threshold: float,
    own_threshold: float | None,
) -> OutsideCandidate:
    refuse_other_images(reference, candidate)
    after = evaluate_defined(candidate, threshold=threshold)
    own = None if own_threshold is None else evaluate_defined(candidate, threshold=own_threshold)
    flips = find_flips(reference, candidate, threshold=threshold)
    return OutsideCandidate(
        mode=mode,
        measured=after,
        own=own,
        drop={
            name: None if value is None else value - after["metrics"][name]
            for name, value in before["metrics"].items()
        },
        agreement=1 - sum(flips.counts().values()) / len(reference.labels),
        max_score_difference=float(np.abs(reference.scores - candidate.scores).max()),
        flips=flips,
    )


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
    run: TrainedModel,
    exports: Sequence[ConvertedModel],
    external: Sequence[JudgedPictures],
    *,
    runtime: Runtime,
    reporter: Reporter,
) -> tuple[OutsideParity, ...]:
    """Score each set with each model, keep the scores in the bench folder, and compare."""
    if not external:
        return ()
    from edge_melanoma.network.network import load_network

    network = KerasClassifier(load_network(run))
    scores = {"keras": _score(network, external, reporter, label="keras")}
    for model in exports:
        with TFLiteClassifier(model.data, name=model.path.name, runtime=runtime) as tflite:
            scores[model.mode] = _score(tflite, external, reporter, label=model.mode)
    points = {model.mode: model.manifest.get("operating_point") for model in exports}
    own = {mode: float(point["threshold"]) for mode, point in points.items() if point}
    return tuple(_compare(run, found, scores, own) for found in external)


def _score(
    classifier: Classifier, external: Sequence[JudgedPictures], reporter: Reporter, *, label: str
) -> dict[str, PredictionSet]:
    return {
        found.name: predict(
            classifier, found.records, reporter=reporter, label=f"{label} on {found.name}"
        )
        for found in external
    }


def _compare(
    run: TrainedModel,
    found: JudgedPictures,
    scores: Mapping[str, Mapping[str, PredictionSet]],
    own_thresholds: Mapping[str, float],
) -> OutsideParity:
    of_set = {mode: by_set[found.name] for mode, by_set in scores.items()}
    for mode, predictions in of_set.items():
        path = run.folder / "bench" / "external" / found.name / f"predictions_{mode}.csv"
        write_atomically(path, predictions_to_csv(predictions))
    reference = of_set.pop("keras")
    return compare_outside(
        found, reference, of_set, threshold=run.threshold, own_thresholds=own_thresholds
    )
