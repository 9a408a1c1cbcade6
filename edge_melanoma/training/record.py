"""Writing a finished training down: weights, split, history, evaluation, pictures, manifest.

And what is made of a run that is whole: scores of external sets, which are added to it, and a run
whose scores are probabilities, by a scaling of validation that is folded into the last layer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import RESIZE_ID, read_image
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.data.splits import SIDES, DatasetSplit, split_to_json
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import figures
from edge_melanoma.evaluation.evaluation import evaluate_at_both, evaluate_sides
from edge_melanoma.evaluation.judged_pictures import JudgedPictures
from edge_melanoma.evaluation.predictions import (
    PredictionSet,
    predict,
    predictions_to_csv,
    read_predictions,
)
from edge_melanoma.evaluation.reliability import fit_scaling
from edge_melanoma.evaluation.thresholds import OperatingPoint, choose_operating_point
from edge_melanoma.machine.environment import describe_determinism, describe_environment
from edge_melanoma.machine.files import rows_to_csv, write_atomically, write_json
from edge_melanoma.machine.terminal import (
    Reporter,
    TerminalReporter,
    next_lines,
    print_lines,
    results_console,
)
from edge_melanoma.network.gate import Gate
from edge_melanoma.network.network import arrays_of, load_network, round_to_half
from edge_melanoma.network.recipes import Augmentation
from edge_melanoma.network.starting_weights import describe_weights
from edge_melanoma.runs.bundled import find_own_run
from edge_melanoma.runs.folders import choose_run_folder, hold_run
from edge_melanoma.runs.manifests import SPLIT, read_split
from edge_melanoma.runs.models import GATE, HISTORY, MANIFEST, WEIGHTS, TrainedModel
from edge_melanoma.runs.pictures import leaked_test_of, portable_folder, read_side
from edge_melanoma.runs.recorded_files import hashes_of
from edge_melanoma.runs.results import EVALUATION, read_evaluation
from edge_melanoma.runtime.classifiers import KerasClassifier
from edge_melanoma.training.augmentation import augment_images
from edge_melanoma.training.checkpoints import CHECKPOINT
from edge_melanoma.training.gate import record_gate
from edge_melanoma.training.material import Placement, TrainingMaterial, TrainingSettings
from edge_melanoma.training.training import TrainingResult

COPIED = (SPLIT, HISTORY, GATE, "training_curves.png", "classes.png", "samples.png")
"""What `calibrate` leaves as it is: the scores have no part in it."""


def record_run(
    folder: Path,
    *,
    settings: TrainingSettings,
    material: TrainingMaterial,
    result: TrainingResult,
    sides: Mapping[str, PredictionSet],
    operating_point: OperatingPoint,
    calibration: Mapping[str, Any] | None,
    placement: Placement,
    gate: tuple[Gate, dict[str, Any]] | None,
) -> None:
    """Write all files of a run, its manifest last: a run without a manifest is no run."""
    varied = next(filter(None, (one.augmentation for one in settings.spec().stages)), None)
    blocks = record_split(folder, material, augmentation=varied)
    write_atomically(folder / HISTORY, rows_to_csv(result.history))
    title = f"Training on {blocks['dataset']['name']}"
    figures.draw_training_curves(result.history, folder / "training_curves.png", title=title)
    manifest = {
        "schema": 1,
        "variant": settings.variant.value,
        "settings": {**asdict(settings), "weights": describe_weights(settings.weights)["name"]},
        "recipe": asdict(settings.spec()),
        "teacher": material.teacher.as_dict() if material.teacher else None,
        "resize": RESIZE_ID,
        **blocks,
        "calibration": calibration,
        "operating_point": asdict(operating_point),
        "gate": gate and gate[1],
        "determinism": describe_determinism(settings.seed) if settings.deterministic else None,
        "distribution": placement.describe(),
        "starting_weights": describe_weights(settings.weights),
        "training": {"seconds": result.seconds},
    }
    record_weights(folder, result.network, half_precision=settings.spec().half_precision)
    if gate is not None:
        record_gate(folder, gate[0])
    leaked = material.split.leaked_test
    record_scores(folder, sides, operating_point, blocks["dataset"], leaked_test=leaked)
    close_run(folder, manifest)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def record_weights(folder: Path, network: Any, *, half_precision: bool) -> None:
    """As safetensors; as float16 where they were rounded to it."""
    from safetensors.numpy import save

    precision = np.float16 if half_precision else np.float32
    arrays = {name: array.astype(precision) for name, array in arrays_of(network).items()}
    write_atomically(folder / WEIGHTS, save(arrays))


def record_scores(
    folder: Path,
    sides: Mapping[str, PredictionSet],
    point: OperatingPoint,
    dataset: Mapping[str, Any],
    *,
    leaked_test: Collection[str],
) -> None:
    """The scores of all sides, and what follows from them."""
    evaluation = evaluate_sides(
        sides, operating_point=point, dataset=dataset, leaked_test=leaked_test
    )
    write_json(folder / EVALUATION, evaluation)
    for side, predictions in sides.items():
        write_atomically(folder / f"predictions_{side}.csv", predictions_to_csv(predictions))
    judged, name = {side: sides[side] for side in ("train", "test")}, dataset["name"]
    for figure, draw in (
        ("confusion", figures.draw_confusion_matrices),
        ("roc", figures.draw_roc_curves),
        ("precision_recall", figures.draw_precision_recall_curves),
    ):
        draw(judged, folder / f"{figure}.png", threshold=point.threshold, dataset=name)
    unseen = {side: sides[side] for side in ("validation", "test")}
    figures.draw_reliability(unseen, folder / "reliability.png", dataset=name)
    figures.draw_risk_coverage(
        unseen, folder / "risk_coverage.png", threshold=point.threshold, dataset=name
    )


def close_run(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest, with the hash of every other file of the run and what it ran on."""
    skipped = {MANIFEST, CHECKPOINT}
    paths = [path for path in folder.iterdir() if path.is_file() and path.name not in skipped]
    files = hashes_of(folder, [path for path in paths if not path.name.startswith(".")])
    made = {"environment": describe_environment(), "files": files}
    write_json(folder / MANIFEST, {**manifest, **made})


def score_external_sets(
    run: TrainedModel, external: Sequence[JudgedPictures], *, reporter: Reporter
) -> None:
    """Score the sets that are not in the run's evaluation yet with Keras, and write them there.

    The run is whole before, so that no such set can cost a training.
    """
    evaluation = read_evaluation(run.folder)
    known = dict(evaluation.get("external", {}))
    pending = [f for f in external if not f.as_dict().items() <= known.get(f.name, {}).items()]
    if not pending:
        return
    classifier = KerasClassifier(load_network(run), views=run.views)
    scored = [
        (found, predict(classifier, found.records, reporter=reporter, label=found.name))
        for found in pending
    ]
    folders, written = dict(run.manifest.get("external", {})), [run.folder / EVALUATION]
    readings = dict(run.manifest.get("external_reading", {}))
    for found, predictions in scored:
        measured = evaluate_at_both(predictions, threshold=run.threshold)
        known[found.name] = found.as_dict() | measured
        folders[found.name] = portable_folder(
            found.folder or Path(),
            run_folder=run.folder,
            fingerprint=found.dataset["fingerprint"],
            name=found.name,
        )
        readings[found.name] = found.reading.as_dict()
        written.append(run.folder / f"predictions_external_{found.name}.csv")
        write_atomically(written[-1], predictions_to_csv(predictions))
    write_json(run.folder / EVALUATION, {**evaluation, "external": known})
    record_files(run, written, external=folders, external_reading=readings)


def record_files(run: TrainedModel, paths: Sequence[Path], **changes: Any) -> None:
    """Put the hashes of files of the run that were written anew into its manifest, and `changes`.

    The others keep theirs: what was changed by hand is not made good.
    """
    folder = run.folder.resolve()
    inside = [path for path in map(Path.resolve, paths) if path.is_relative_to(folder)]
    files = run.manifest["files"] | hashes_of(folder, inside)
    write_json(run.folder / MANIFEST, {**run.manifest, **changes, "files": files})


def record_split(
    folder: Path, material: TrainingMaterial, *, augmentation: Augmentation | None
) -> dict[str, Any]:
    """Write the split, its classes and a sheet of its pictures; the blocks of the manifest.

    The sheet has the pictures as the training saw them too, where `augmentation` changed them.
    """
    split, dataset = material.split, dict(material.dataset)
    dataset["folders"] = {
        name: portable_folder(
            path, run_folder=folder, fingerprint=dataset["fingerprint"], name=name
        )
        for name, path in material.folders.items()
    }
    write_json(folder / SPLIT, split_to_json(split))
    counts = {side: count_classes(records) for side, records in split.sides().items()}
    figures.draw_class_distribution(counts, folder / "classes.png", dataset=dataset["name"])
    title = f"Training images of {dataset['name']}"
    figures.draw_sample_sheet(sample_rows(split, augmentation), folder / "samples.png", title=title)
    return {
        "dataset": dataset,
        "split": {"kind": split.kind.value, "seed": split.seed, "fingerprint": split.fingerprint},
        "left_out": {
            "unreadable": [asdict(image) for image in material.bad],
            "also_in_test": [record.image_id for record in split.left_out],
        },
    }


def sample_rows(
    split: DatasetSplit, augmentation: Augmentation | None
) -> dict[str, list[NDArray[np.uint8]]]:
    """Some training pictures of each class, and below them what `augmentation` makes of them."""
    rows: dict[str, list[NDArray[np.uint8]]] = {}
    for name, is_malignant in (("benign", False), ("malignant", True)):
        members = [record for record in split.train if record.is_malignant == is_malignant]
        step = max(1, len(members) // figures.SAMPLES_A_ROW)
        plain = [read_image(record.path) for record in members[::step][: figures.SAMPLES_A_ROW]]
        seeds = np.stack([[split.seed, 0, number] for number in range(len(plain))])
        rows[name] = plain
        if augmentation is not None:
            varied = augment_images(np.stack(plain), augmentation, seeds=seeds)
            rows[f"{name}, augmented"] = list(varied)
    return rows


def calibrate_run(folder: Path | None, *, out: Path | None, force: bool) -> Path:
    """Fold a scaling, fitted on validation, into a run's last layer; the folder of the new run.

    Raises:
        EdgeMelanomaError: the run is calibrated already, or its pictures are not there.
    """
    run = find_own_run(folder)
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
    command = ("export", target, "--quantize", "int8")
    print_lines(results_console(width=160), *next_lines(target, command=command, word="Run"))
    return target


def scale_last_layer(
    network: Any, scores: PredictionSet, validation: Sequence[LesionRecord], reporter: Reporter
) -> dict[str, Any]:
    """Scale the last layer so that `scores` of validation are probabilities; for the manifest."""
    scaling, told = fit_scaling(scores, records=validation)
    scaling.fold_into(network)
    reporter.say(
        f"Calibrated on {told['images']} validation images: temperature {scaling.temperature:.3f}, "
        f"offset {scaling.offset:+.3f}, calibration error {told['ece_before']:.4f} -> "
        f"{told['ece_after']:.4f}."
    )
    return told


def _calibrate_into(target: Path, run: TrainedModel, reporter: Reporter) -> None:
    (target / MANIFEST).unlink(missing_ok=True)
    records, told = {side: read_side(run, side) for side in SIDES}, run.manifest
    stored = read_predictions(run.folder / "predictions_validation.csv")
    network = load_network(run)
    calibration = scale_last_layer(network, stored, records["validation"], reporter)
    if told["recipe"].get("half_precision"):
        round_to_half(network)
    score = partial(predict, KerasClassifier(network, views=run.views), reporter=reporter)
    sides = {
        side: score(members, label=f"Scoring the {side} side") for side, members in records.items()
    }
    min_recall = told["operating_point"].get("min_recall")
    point = choose_operating_point(sides["validation"], min_recall=min_recall)
    for name in COPIED:
        if (run.folder / name).is_file():  # an imported run has no history
            write_atomically(target / name, (run.folder / name).read_bytes())
    manifest = {
        **told,
        "recipe": {**told["recipe"], "calibrated": True},
        "calibration": calibration,
        "calibrated_from": {"run": run.folder.resolve().name, "sha256": run.sha256},
        "operating_point": asdict(point),
    }
    half = bool(told["recipe"].get("half_precision"))
    record_weights(target, network, half_precision=half)
    leaked = leaked_test_of(read_split(run.folder))
    record_scores(target, sides, point, told["dataset"], leaked_test=leaked)
    close_run(target, manifest)
