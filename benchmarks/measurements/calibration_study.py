"""How far int8 moves with the images that calibrate it: disjoint subsets of the training side.

    python benchmarks/measurements/calibration_study.py RUN [--calibration-images N] [--seed N]
        [--backend litert] [--bias-correction none] [--io uint8] [--output logit]

Of each size five int8 files are made as an export makes them and scored on the validation side. The
study is written to RUN/exports/calibration_study.json, and its picture beside it.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from edge_melanoma.converters import calibration
from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.settings import ExportSettings, Job
from edge_melanoma.data.cards import describe_dataset
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.splits import fingerprint_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import predictions
from edge_melanoma.evaluation.metrics import measure
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine import terminal
from edge_melanoma.machine.environment import describe_environment
from edge_melanoma.machine.files import sha256_of, write_json
from edge_melanoma.runs.bundled import find_run_or_bundled
from edge_melanoma.runs.manifests import read_split
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.pictures import read_run_records, read_side
from edge_melanoma.runtime.classifiers import TFLiteClassifier
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.modes import Backend, Correction, InputOutput, Mode, Output

SIZES = (50, 100, 200, 500, 1000)
SUBSETS = 5
"""Of each size; one more would lie outside their range one time in three."""

COLUMNS = (
    "images",
    "subsets",
    "recall",
    "min .. max",
    "AUC",
    "min .. max",
    "mean |dp|",
    "agreement",
)

Study = Mapping[str, Any]
"""What the file says: the plan that decides the trials, `reference`, the metrics of the scores that
the training stored, and `subsets`, a trial each, the smallest first."""


def sizes_of(study: Study) -> list[int]:
    """The numbers of calibration images that were tried."""
    return list(dict.fromkeys(trial["images"] for trial in study["subsets"]))


def values_of(study: Study, number: str, *, images: int) -> list[float]:
    """One number of each trial with so many images."""
    return [trial[number] for trial in study["subsets"] if trial["images"] == images]


def conclude(study: Study) -> str:
    """What the trials with as many images as an export has, or else the most, amount to."""
    asked, sizes = study["settings"]["calibration_images"], sizes_of(study)
    images = asked if asked in sizes else sizes[-1]
    moves = {size: float(np.ptp(values_of(study, "recall", images=size))) for size in sizes}
    most = max(moves, key=lambda size: moves[size])
    malignant = study["validation"]["malignant"]
    lowest = min(values_of(study, "recall", images=images))
    return (
        f"With {images} images, the choice of images moves recall by {moves[images]:.4f} "
        f"({moves[images] * malignant:.0f} of {malignant} malignant images) and AUC by "
        f"{np.ptp(values_of(study, 'auc', images=images)):.4f}; the lowest recall is "
        f"{lowest:.4f}, {lowest - study['reference']['recall']:+.4f} against float, and recall "
        f"moves most with {most} images, by {moves[most]:.4f}."
    )


def study_calibration(run: TrainedModel, settings: ExportSettings) -> dict[str, Any]:
    """Calibrate with disjoint subsets of the training side and score the validation side.

    Raises:
        EdgeMelanomaError: there are too few images for any size.
    """
    records, split = read_run_records(run), read_split(run.folder)
    own = calibration.draw_calibration_set(
        records, split=split, images=settings.calibration_images, seed=settings.seed
    )
    settings = replace(settings, calibration_images=len(own.records))
    wanted = sorted({*SIZES, len(own.records)})
    sizes = possible_sizes(records, split=split, sizes=wanted, seed=settings.seed)
    subsets = (
        calibration.draw_calibration_set(
            records, split=split, images=size, seed=settings.seed, place=place
        )
        for size in sizes
        for place in range(SUBSETS)
    )
    validation = read_side(run, "validation")
    stored = predictions.read_predictions(run.folder / "predictions_validation.csv")
    name = f"{run.manifest['dataset']['name']}, validation side"
    total = SUBSETS * len(sizes)
    tracked = terminal.TerminalReporter().track(subsets, label="calibration subsets", total=total)
    trials = try_subsets(
        tracked,
        convert=make_convert(run, settings),
        score=lambda data: _score(data, validation),
        reference=stored,
        threshold=run.threshold,
    )
    return {
        "schema": 1,
        "settings": {**settings.of_mode(Mode.INT8), "calibration_images": len(own.records)},
        "seed": settings.seed,
        "variant": run.variant,
        "source_sha256": run.sha256,
        "threshold": run.threshold,
        "validation": describe_dataset(name, validation),
        "left_out": [size for size in wanted if size not in sizes],
        "reference": measure(stored, threshold=run.threshold).as_dict(),
        "subsets": list(trials),
    }


def possible_sizes(
    records: Sequence[LesionRecord], *, split: Mapping[str, Any], sizes: Sequence[int], seed: int
) -> list[int]:
    """Those of which the training side has `SUBSETS` disjoint sets, half of each class.

    Raises:
        EdgeMelanomaError: there is none.
    """
    classes = calibration.shuffled_training_side(records, split=split, seed=seed)
    benign, malignant = (len(members) // SUBSETS for members in classes)
    found = [size for size in sizes if size // 2 <= benign and (size + 1) // 2 <= malignant]
    if not found:
        raise EdgeMelanomaError(
            f"The training side has too few images of a class for {SUBSETS} disjoint subsets of "
            f"{sizes[0]}, half of each class; try fewer with --calibration-images."
        )
    return found


def make_convert(run: TrainedModel, settings: ExportSettings) -> Callable[[CalibrationSet], bytes]:
    """What makes the int8 file that an export has which is calibrated with a subset."""
    from edge_melanoma.converters.conversion import convert_modes

    job = Job(
        folder=run.folder,
        modes=(Mode.INT8,),
        settings=settings,
        calibration=None,
        checkpoint_folder=run.exports_folder,
        cache_folder=run.exports_folder,
    )
    return lambda subset: convert_modes(replace(job, calibration=subset))[Mode.INT8].data


def try_subsets(
    subsets: Iterable[CalibrationSet],
    *,
    convert: Callable[[CalibrationSet], bytes],
    score: Callable[[bytes], PredictionSet],
    reference: PredictionSet,
    threshold: float,
) -> Iterator[dict[str, Any]]:
    """Convert with each subset and hold the file's scores against `reference`, a trial each.

    So far apart are they in mean |change of P(malignant)|, and in the share of equal decisions.

    Raises:
        EdgeMelanomaError: the scores are of other images than the reference's.
    """
    for subset in subsets:
        data = convert(subset)
        found = score(data)
        predictions.refuse_other_images(reference, found)
        told = measure(found, threshold=threshold).as_dict()
        same = found.decisions(threshold=threshold) == reference.decisions(threshold=threshold)
        yield {
            "images": len(subset.records),
            "fingerprint": fingerprint(subset),
            "file_sha256": sha256_of(data),
            **{name: told[name] for name in ("recall", "specificity", "auc")},
            "mean_score_difference": float(np.abs(found.scores - reference.scores).mean()),
            "agreement": float(same.mean()),
        }


def fingerprint(subset: CalibrationSet) -> str:
    """sha256 over ids, labels and bytes of the images, whatever their order."""
    hashes = subset.training_hashes
    records = [replace(record, sha256=hashes[record.image_id]) for record in subset.records]
    return fingerprint_of({"train": records})


def draw_calibration_study(study: Study, path: Path) -> Path:
    """Recall and AUC over the number of images: a dot a subset, a line through their means."""
    from matplotlib.figure import Figure

    from edge_melanoma.evaluation.figures import save_figure

    figure = Figure(figsize=(10, 4.4), layout="constrained")
    sizes = sizes_of(study)
    places = range(len(sizes))
    titles = {"recall": "recall", "auc": "AUC"}
    for axes, (number, name) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        found = [values_of(study, number, images=size) for size in sizes]
        axes.axhline(study["reference"][number], color="#7F7F7F", linestyle="--", label="float")
        means = [np.mean(values) for values in found]
        axes.plot(places, means, color="#0072B2", linewidth=1, label="int8, mean")
        for place, values in zip(places, found, strict=True):
            axes.plot([place] * len(values), values, "o", color="#D55E00", alpha=0.6)
        axes.set_xticks(places, [str(size) for size in sizes])
        axes.set(xlabel="calibration images", ylabel=name)
        axes.grid(alpha=0.25)
    figure.axes[0].legend(fontsize=8)
    threshold, dataset = study["threshold"], study["validation"]["name"]
    figure.suptitle(f"{dataset}, threshold {threshold:.3f}: a dot is one subset's int8 file")
    return save_figure(figure, path)


def tabulate(study: Study) -> Table:
    """A row a size: means and ranges over its subsets."""
    side, threshold = study["validation"], study["threshold"]
    title = (
        f"int8 by calibration images, {side['name']} ({side['images']} images, "
        f"{side['malignant']} malignant), threshold {threshold:.3f}"
    )
    table = Table(*COLUMNS, title=title)  # a data set may be called "a[b]"
    recall, auc = study["reference"]["recall"], study["reference"]["auc"]
    table.add_row("float, stored scores", "", f"{recall:.4f}", "", f"{auc:.4f}", "", "", "")
    for size in sizes_of(study):
        recalls, aucs, differences, agreements = (
            values_of(study, number, images=size)
            for number in ("recall", "auc", "mean_score_difference", "agreement")
        )
        cells = [f"{size}", f"{len(recalls)}"]
        for values in (recalls, aucs):
            cells += [f"{np.mean(values):.4f}", f"{min(values):.4f} .. {max(values):.4f}"]
        table.add_row(*cells, *(f"{np.mean(values):.4f}" for values in (differences, agreements)))
    return table


def _score(data: bytes, records: Sequence[LesionRecord]) -> PredictionSet:
    with TFLiteClassifier(data, name="the trial", runtime=Runtime.LITERT) as classifier:
        return predictions.predict(
            classifier, records, reporter=terminal.SilentReporter(), label=""
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Study a run, write what was found, and print a row a size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="A run folder, or the word bundled.")
    parser.add_argument("--calibration-images", type=int, help="A size that is tried too.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", type=Backend, default=Backend.CONVERTER)
    parser.add_argument(
        "--bias-correction", type=Correction, default=Correction.LAYERWISE, dest="correction"
    )
    parser.add_argument("--io", type=InputOutput, default=InputOutput.INT8)
    parser.add_argument("--output", type=Output, default=Output.PROBABILITY)
    options = vars(parser.parse_args(arguments))
    folder, settings = options.pop("run"), ExportSettings(**options)
    settings.refuse_contradictions([Mode.INT8])
    run = find_run_or_bundled(folder)
    study = study_calibration(run, settings)
    path = run.exports_folder / "calibration_study.json"
    draw_calibration_study(study, path.with_suffix(".png"))
    told = {"conclusion": conclude(study), "environment": describe_environment()}
    write_json(path, study | told)
    console = terminal.results_console(width=160)
    terminal.print_table(console, tabulate(study))
    if study["left_out"]:
        terminal.print_lines(
            console,
            f"Left out: {', '.join(map(str, study['left_out']))} images, of which the "
            f"training side has no {SUBSETS} disjoint subsets with half of each class.",
        )
    terminal.print_lines(console, str(told["conclusion"]))
    print(path, path.with_suffix(".png"), sep="\n")


if __name__ == "__main__":
    main()
