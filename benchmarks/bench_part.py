"""What `bench --shard` does, and the pictures and scores of all its parts in `merge`."""

from dataclasses import replace
from pathlib import Path

from edge_melanoma.benchmarks.bench import hashes_of_models, open_benched_models
from edge_melanoma.benchmarks.parity.scoring import Scoring
from edge_melanoma.data.lesions import read_lesions
from edge_melanoma.data.scoring_shard import Shard
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.judged_pictures import BenchedSet, learned_by_run
from edge_melanoma.evaluation.score_parts import ScorePart, common_facts, write_part
from edge_melanoma.evaluation.scored_part import describe_part, part_of_set, tell_part
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.bundled import find_run_or_bundled
from edge_melanoma.runs.folders import refuse_unwritable
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.pictures import read_run_records
from edge_melanoma.runtime.classifiers import choose_runtime
from edge_melanoma.runtime.names import Runtime

COMMAND = "bench"


def bench_part(
    run: Path | None,
    *,
    shard: Shard,
    json: Path,
    data: Path | None,
    interpreter: Runtime | None,
) -> ScorePart:
    """Score one shard by Keras and every export; the run folder is only read, and not held."""
    refuse_unwritable(json)
    reporter = TerminalReporter()
    opened = find_run_or_bundled(run)
    exports = open_benched_models(opened)
    learned = learned_by_run(opened) if data else None
    part = part_of_set(opened, data, learned, shard, reporter=reporter)
    scoring = Scoring(
        run=opened,
        runtime=choose_runtime(interpreter),
        records=part.records,
        is_test_side=data is None,
        reporter=reporter,
    )
    facts = {"models": hashes_of_models(opened, exports), "runtime": scoring.runtime.value}
    scores = scoring.score(exports)
    found = part.as_score_part(common_facts(COMMAND, **facts, **part.facts), scores)
    write_part(json, found, shard)
    tell_part(json, found, shard)
    return found


def merged_set(merged: ScorePart, data: Path | None, run: TrainedModel) -> BenchedSet:
    """The pictures that were scored, found again by their ids, as `bench` would have them.

    Raises:
        EdgeMelanomaError: a picture is not in `data`, or in the run's data folders, any more.
    """
    listed = {r.image_id: r for r in (read_lesions(data) if data else read_run_records(run))}
    records = []
    for scored in merged.records:
        found = listed.get(scored.image_id)
        if found is None or found.is_malignant != scored.is_malignant:
            place = data or "the data folders of the run"
            raise EdgeMelanomaError(
                f"The image {scored.image_id} of the parts is not in {place}, or has another "
                f"label there; give the data set that they were made of with --data DIR."
            )
        records.append(replace(found, sha256=scored.sha256))
    return BenchedSet(records=tuple(records), dataset=describe_part(merged))
