"""What `evaluate` does: one model, its data set and others, metrics with intervals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_melanoma.data.screening import default_fingerprint_folder
from edge_melanoma.evaluation.evaluation import conclude, measure_set
from edge_melanoma.evaluation.judged_pictures import (
    learned_by_run,
    read_external_set,
    read_external_sets,
    read_own_side,
)
from edge_melanoma.evaluation.subject import open_subject
from edge_melanoma.evaluation.tables import show_evaluation
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.folders import refuse_unwritable
from edge_melanoma.runtime.names import Runtime


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
    cache = default_fingerprint_folder()
    outside = read_external_sets(external or {}, learned, reporter=reporter, cache_folder=cache)
    if data is not None:
        inside = read_external_set(data, learned, reporter=reporter, cache_folder=cache)
    else:
        assert subject.run is not None
        inside = read_own_side(subject.run)
    judged = [inside.records, *(found.records for found in outside)]
    own, *others = subject.score(judged, reporter)
    result = conclude(
        subject.facts,
        inside.as_dict(),
        own,
        leaked=subject.leaked() if data is None else (),
        outside={
            found.name: found.as_dict() | measure_set(scores, subject.threshold)
            for found, scores in zip(outside, others, strict=True)
        },
    )
    if json is not None:
        write_json(json, result)
    show_evaluation(result)
    return result
