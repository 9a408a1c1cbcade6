"""What `--external` does in a training: the sets are read before it and scored after it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_melanoma.data.data_sets import refuse_training_sets
from edge_melanoma.data.dataset_card import find_card
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.external_sets import ExternalSet
from edge_melanoma.evaluation.predictions import predict
from edge_melanoma.machine.progress import Reporter
from edge_melanoma.runs.artifacts import TrainedModel, read_json
from edge_melanoma.runtime.classifiers import KerasClassifier
from edge_melanoma.training.run_record import EVALUATION, record_external


def refuse_unusable_sets(external: Mapping[str, Path], training: Mapping[str, Path]) -> None:
    """What can be known of external sets before any picture is read: names, folders, cards."""
    refuse_training_sets(external, training)
    for folder in external.values():
        find_card(folder)


def refuse_other_splits(runs: Sequence[TrainedModel], *, fingerprint: str) -> None:
    """Copies are left out by the split that is trained on; a finished run must be of the same.

    Raises:
        EdgeMelanomaError: a run of another split.
    """
    for run in runs:
        if run.manifest["split"]["fingerprint"] != fingerprint:
            raise EdgeMelanomaError(
                f"The finished run {run.folder} has another split than this command would make; "
                f"score it with: edge-melanoma evaluate {run.folder} --external NAME=DIR"
            )


def score_external_sets(
    run: TrainedModel, external: Sequence[ExternalSet], *, reporter: Reporter
) -> None:
    """Score the sets that are not in the run's evaluation yet with Keras, and write them there."""
    known = read_json(run.folder / EVALUATION).get("external", {})
    pending = [found for found in external if not _is_known(found, known)]
    if not pending:
        return
    from edge_melanoma.network.network import load_network

    classifier = KerasClassifier(load_network(run))
    scored = [
        (found, predict(classifier, found.records, reporter=reporter, label=found.name))
        for found in pending
    ]
    record_external(run, scored)


def _is_known(found: ExternalSet, known: Mapping[str, Mapping[str, object]]) -> bool:
    told = found.as_dict()
    return found.name in known and all(known[found.name][key] == told[key] for key in told)
