"""What `calibrate` does: fold a scaling into a run's last layer and record what results."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_melanoma.data.splits import SIDES
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import predict, read_predictions
from edge_melanoma.evaluation.scaling import fit_scaling
from edge_melanoma.evaluation.thresholds import OperatingPoint, choose_operating_point
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
"""What the scores have no part in."""


def calibrate_run(folder: Path, *, out: Path | None, force: bool) -> Path:
    """Fit on the run's validation side, write the new run, and return its folder.

    Raises:
        EdgeMelanomaError: the run is calibrated already, or its pictures are not there.
    """
    reporter, run = TerminalReporter(), find_run(folder)
    _refuse(run, out)
    target = choose_run_folder(out, variant=run.variant, force=force)
    with hold_run(target):
        _calibrate_into(target, run, reporter)
    print(target)
    return target


def _calibrate_into(target: Path, run: TrainedModel, reporter: Reporter) -> None:
    (target / MANIFEST).unlink(missing_ok=True)
    records = {side: read_side(run, side) for side in SIDES}
    stored = read_predictions(run.folder / "predictions_validation.csv")
    fitted = fit_scaling(stored, records=records["validation"], test=records["test"])
    reporter.say(fitted.describe())
    network = load_network(run)
    fitted.scaling.fold_into(network)
    half_precision = bool(run.manifest["recipe"].get("half_precision"))
    if half_precision:
        round_to_half(network)
    classifier = KerasClassifier(network)
    sides = {
        side: predict(classifier, members, reporter=reporter, label=f"Scoring the {side} side")
        for side, members in records.items()
    }
    min_recall = float(run.manifest["operating_point"]["min_recall"])
    point = choose_operating_point(sides["validation"], min_recall=min_recall)
    record_weights(target, network, half_precision=half_precision)
    for name in COPIED:
        write_atomically(target / name, (run.folder / name).read_bytes())
    dataset = run.manifest["dataset"]
    leaked = leaked_test_of(read_json(run.folder / SPLIT))
    record_scores(target, sides=sides, operating_point=point, dataset=dataset, leaked_test=leaked)
    write_json(target / MANIFEST, _manifest(run, target, fitted.as_dict(), point))


def _refuse(run: TrainedModel, out: Path | None) -> None:
    if run.manifest.get("calibration"):
        raise EdgeMelanomaError(
            f"The run {run.folder} is calibrated already; export it, or calibrate another."
        )
    if out is not None and out.resolve() == run.folder.resolve():
        raise EdgeMelanomaError(
            f"--out {out} is the run itself, which is left as it is; choose another folder."
        )


def _manifest(
    run: TrainedModel, target: Path, calibration: dict[str, Any], point: OperatingPoint
) -> dict[str, Any]:
    return {
        **run.manifest,
        "recipe": {**run.manifest["recipe"], "calibrated": True},
        "calibration": calibration,
        "calibrated_from": {"run": run.folder.resolve().name, "sha256": run.sha256},
        "operating_point": asdict(point),
        "environment": describe_environment(),
        "files": hash_files(target),
    }
