"""What `evaluate --shard` does, and what becomes of its parts in `merge`."""

from pathlib import Path
from typing import Any

from edge_melanoma.data.scoring_shard import Shard
from edge_melanoma.evaluation.evaluation import conclude
from edge_melanoma.evaluation.judged_pictures import describe_judged, learned_by_run
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.score_parts import ScorePart, common_facts, write_part
from edge_melanoma.evaluation.scored_part import describe_part, part_of_set, tell_part
from edge_melanoma.evaluation.subject import Subject, open_subject
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.folders import refuse_unwritable
from edge_melanoma.runtime.names import Runtime

COMMAND = "evaluate"
OWN = "scores"
"""The one model of an evaluation among the scores of a part."""


def evaluate_part(
    path: Path,
    *,
    shard: Shard,
    json: Path,
    data: Path | None,
    threshold: float | None,
    interpreter: Runtime | None,
) -> ScorePart:
    """Score one shard and write its part; nothing is measured before all parts are there."""
    refuse_unwritable(json)
    reporter = TerminalReporter()
    subject = open_subject(path, data=data, threshold=threshold, interpreter=interpreter)
    learned = learned_by_run(subject.run) if subject.run and data else None
    part = part_of_set(subject.run, data, learned, shard, reporter=reporter)
    (scores,) = subject.score([part.records], reporter)
    found = part.as_score_part(
        common_facts(COMMAND, **subject.facts, **part.facts),
        {OWN: scores},
        leaked=_leaked_of(subject, scores) if data is None else (),
    )
    write_part(json, found, shard)
    tell_part(json, found, shard)
    return found


def conclude_parts(merged: ScorePart) -> dict[str, Any]:
    """The content of `evaluate --json` of the whole set."""
    return conclude(
        merged.common,
        describe_judged(
            describe_part(merged),
            left_out=merged.left_out,
            compared_by=merged.common["compared_by"],
        ),
        merged.predictions()[OWN],
        leaked=merged.leaked,
        outside={},
    )


def _leaked_of(subject: Subject, scores: PredictionSet) -> tuple[str, ...]:
    present = frozenset(scores.image_ids)
    return tuple(name for name in subject.leaked() if name in present)
