"""What `evaluate` does: one model, its data set and others, metrics with intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_melanoma.atomic_writing import write_json
from edge_melanoma.commands.evaluation_subject import open_subject
from edge_melanoma.commands.evaluation_table import show_evaluation
from edge_melanoma.commands.scored_part import part_of_set
from edge_melanoma.evaluation import (
    WITHOUT_LEAKED,
    count_images,
    evaluate_defined,
    without_images,
)
from edge_melanoma.external_sets import (
    learned_by_run,
    read_external_sets,
)
from edge_melanoma.fingerprints import default_fingerprint_folder
from edge_melanoma.images import RESIZE_ID
from edge_melanoma.predictions import PredictionSet
from edge_melanoma.progress import TerminalReporter
from edge_melanoma.reliability import measure_reliability
from edge_melanoma.run_folders import refuse_unwritable
from edge_melanoma.runtimes import Runtime
from edge_melanoma.scoring_shard import WHOLE


def evaluate_model(
    path: Path,
    *,
    data: Path | None,
    threshold: float | None,
    interpreter: Runtime | None,
    json: Path | None,
    external: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Score, measure, print, and write JSON where it is asked for."""
    refuse_unwritable(json)
    reporter = TerminalReporter()
    subject = open_subject(path, data=data, threshold=threshold, interpreter=interpreter)
    learned = learned_by_run(subject.run) if subject.run and (data or external) else None
    outside = read_external_sets(
        external or {}, learned, reporter=reporter, cache_folder=default_fingerprint_folder()
    )
    inside = part_of_set(subject.run, data, learned, WHOLE, reporter=reporter)
    judged = [inside.records, *(found.records for found in outside)]
    own, *others = subject.score(judged, reporter)
    result = conclude(
        subject.facts,
        inside.as_dict(),
        own,
        leaked=subject.leaked() if data is None else (),
        outside={
            found.name: found.as_dict() | _measure(scores, subject.threshold)
            for found, scores in zip(outside, others, strict=True)
        },
    )
    if json is not None:
        write_json(json, result)
    show_evaluation(result)
    return result


def conclude(
    facts: Mapping[str, Any],
    described: Mapping[str, Any],
    predictions: PredictionSet,
    *,
    leaked: Sequence[str],
    outside: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of `evaluate --json`: what was scored, `described`, and what the scores say."""
    threshold = facts["threshold"]
    return {
        "schema": 1,
        "model": facts["model"],
        "threshold_source": facts["threshold_source"],
        "resize": RESIZE_ID,
        **described,
        **_measure(predictions, threshold),
        **_without_leaked(leaked, predictions, threshold),
        "external": dict(outside),
    }


def _measure(predictions: PredictionSet, threshold: float) -> dict[str, Any]:
    measured = evaluate_defined(predictions, threshold=threshold)
    return measured | {"calibration": measure_reliability(predictions).as_dict()}


def _without_leaked(
    leaked: Sequence[str], predictions: PredictionSet, threshold: float
) -> dict[str, Any]:
    """The run's test side without pictures that have copies in the given training part, if any."""
    rest = without_images(predictions, leaked)
    if not leaked or not len(rest.labels):
        return {}
    return {WITHOUT_LEAKED: count_images(rest) | evaluate_defined(rest, threshold=threshold)}
