"""A network whose scores are probabilities: a scaling of validation, folded into its last layer.

`calibrate` makes a run of that from another; a recipe may ask for it at the end of its training.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.splits import SIDES
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, predict, read_predictions
from edge_melanoma.evaluation.scaling import FittedScaling, fit_scaling
from edge_melanoma.evaluation.thresholds import choose_operating_point
from edge_melanoma.machine.environment import describe_environment
from edge_melanoma.machine.files import read_json, write_atomically, write_json
from edge_melanoma.machine.terminal import Reporter, TerminalReporter
from edge_melanoma.network.network import load_network, round_to_half
from edge_melanoma.runs.folders import choose_run_folder, hold_run
from edge_melanoma.runs.models import MANIFEST, SPLIT, TrainedModel, find_run
from edge_melanoma.runs.pictures import leaked_test_of, read_side
from edge_melanoma.runtime.classifiers import KerasClassifier
from edge_melanoma.training.record import HISTORY, hash_files, record_scores, record_weights

COPIED = (SPLIT, HISTORY, "training_curves.png", "classes.png", "samples.png")
"""What `calibrate` leaves as it is: the scores have no part in it."""


def calibrate_run(folder: Path, *, out: Path | None, force: bool) -> Path:
    """Fold a scaling, fitted on validation, into a run's last layer; the folder of the new run.

    Raises:
        EdgeMelanomaError: the run is calibrated already, or its pictures are not there.
    """
    run = find_run(folder)
    if run.manifest.get("calibration"):
        raise EdgeMelanomaError(
            f"The run {run.folder} is calibrated already; export it, or calibrate another."
        )
    if out is not None and out.resolve() == run.folder.resolve():
        raise EdgeMelanomaError(
            f"--out {out} is the run itself, which is left as it is; choose another folder."
        )
    target = choose_run_folder(out, variant=run.variant, force=force)
    with hold_run(target):
        _calibrate_into(target, run, TerminalReporter())
    print(target)
    return target


def scale_last_layer(
    network: Any,
    scores: PredictionSet,
    validation: Sequence[LesionRecord],
    reporter: Reporter,
) -> FittedScaling:
    """Scale the network's last layer so that its `scores` of validation are probabilities."""
    fitted = fit_scaling(scores, records=validation)
    fitted.scaling.fold_into(network)
    reporter.say(fitted.describe())
    return fitted


def _calibrate_into(target: Path, run: TrainedModel, reporter: Reporter) -> None:
    (target / MANIFEST).unlink(missing_ok=True)
    records, told = {side: read_side(run, side) for side in SIDES}, run.manifest
    stored = read_predictions(run.folder / "predictions_validation.csv")
    network = load_network(run)
    scaling = scale_last_layer(network, stored, records["validation"], reporter)
    half_precision = bool(told["recipe"].get("half_precision"))
    if half_precision:
        round_to_half(network)
    score = partial(predict, KerasClassifier(network, views=run.views), reporter=reporter)
    sides = {
        side: score(members, label=f"Scoring the {side} side") for side, members in records.items()
    }
    min_recall = told["operating_point"]["min_recall"]
    point = choose_operating_point(sides["validation"], min_recall=min_recall)
    record_weights(target, network, half_precision=half_precision)
    for name in COPIED:
        write_atomically(target / name, (run.folder / name).read_bytes())
    leaked = leaked_test_of(read_json(run.folder / SPLIT))
    dataset = told["dataset"]
    record_scores(target, sides=sides, operating_point=point, dataset=dataset, leaked_test=leaked)
    changes = {
        "recipe": {**told["recipe"], "calibrated": True},
        "calibration": scaling.as_dict(),
        "calibrated_from": {"run": run.folder.resolve().name, "sha256": run.sha256},
        "operating_point": asdict(point),
        "environment": describe_environment(),
        "files": hash_files(target),
    }
    write_json(target / MANIFEST, {**told, **changes})
