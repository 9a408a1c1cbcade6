"""One int8 file after another, each calibrated by other images, and how each scores validation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation.metrics import measure
from edge_melanoma.evaluation.predictions import (
    PredictionSet,
    predict,
    read_predictions,
    refuse_other_images,
)
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.terminal import Reporter, SilentReporter, TerminalReporter
from edge_melanoma.runs.models import open_run
from edge_melanoma.runtime.classifiers import TFLiteClassifier
from edge_melanoma.runtime.names import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOrder:
    """All that the child process needs; `own` is what an export with `settings` calibrates with."""

    folder: Path
    settings: ExportSettings
    own: CalibrationSet
    subsets: tuple[CalibrationSet, ...]
    validation: tuple[LesionRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One subset of calibration images, the file that it gave, and how that scores validation.

    The last two are against the scores that the training stored: the mean |change of P(malignant)|
    and the share of equal decisions.
    """

    images: int
    fingerprint: str
    file_sha256: str
    recall: float
    specificity: float
    auc: float
    mean_score_difference: float
    agreement: float


def run_trials(order: TrialOrder) -> tuple[Trial, ...]:
    """A trial a subset, in their order; meant for a process of its own, as all conversions are.

    The network is folded and pruned once, the latter by an export's own images: the first subset of
    as many images then gives that export's very file.
    """
    from edge_melanoma.converters.networks.folding import fold_batch_norm
    from edge_melanoma.converters.networks.pruning import prune_dead_channels
    from edge_melanoma.network.network import load_network

    run, settings = open_run(order.folder), order.settings
    folded = fold_batch_norm(load_network(run))
    network, _ = prune_dead_channels(folded, order.own.batches())

    def score(data: bytes) -> PredictionSet:
        with TFLiteClassifier(data, name="the trial", runtime=Runtime.LITERT) as classifier:
            return predict(classifier, order.validation, reporter=SilentReporter(), label="")

    return try_subsets(
        order.subsets,
        convert=lambda subset: convert_int8(network, subset, settings),
        score=score,
        reference=read_predictions(run.folder / "predictions_validation.csv"),
        threshold=run.threshold,
        reporter=TerminalReporter(),
    )


def convert_int8(network: Any, calibration: CalibrationSet, settings: ExportSettings) -> bytes:
    """The int8 file of a folded network with the end, backend and correction of an export."""
    from edge_melanoma.converters.conversion import Int8Files
    from edge_melanoma.converters.packing import seal_model

    return seal_model(Int8Files(network, calibration, settings).convert())


def try_subsets(
    subsets: Sequence[CalibrationSet],
    *,
    convert: Callable[[CalibrationSet], bytes],
    score: Callable[[bytes], PredictionSet],
    reference: PredictionSet,
    threshold: float,
    reporter: Reporter,
) -> tuple[Trial, ...]:
    """Convert with each subset and hold the file's scores against `reference`.

    Raises:
        EdgeMelanomaError: the scores are of other images than the reference's.
    """
    trials = []
    for subset in reporter.track(subsets, label="calibration subsets", total=len(subsets)):
        data = convert(subset)
        found = score(data)
        refuse_other_images(reference, found)
        metrics = measure(found, threshold=threshold)
        same = found.decisions(threshold=threshold) == reference.decisions(threshold=threshold)
        trials.append(
            Trial(
                images=len(subset.records),
                fingerprint=subset.fingerprint,
                file_sha256=sha256_of(data),
                recall=metrics.recall,
                specificity=metrics.specificity,
                auc=metrics.auc,
                mean_score_difference=float(np.abs(found.scores - reference.scores).mean()),
                agreement=float(same.mean()),
            )
        )
    return tuple(trials)
