"""How far int8 moves with the images that calibrate it: disjoint subsets of the training side."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge_melanoma.converters.calibration import (
    CalibrationSet,
    draw_calibration_set,
    draw_disjoint_sets,
)
from edge_melanoma.converters.calibration_trials import Trial, TrialOrder, run_trials
from edge_melanoma.converters.settings import ExportSettings, TuningSettings
from edge_melanoma.data.cards import describe_dataset
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import measure
from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.machine.environment import describe_environment
from edge_melanoma.machine.files import read_json, write_json
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.runs.models import SPLIT, TrainedModel
from edge_melanoma.runs.pictures import read_side
from edge_melanoma.tflite.modes import Mode

SIZES = (50, 100, 200, 500, 1000)
SUBSETS = 5
"""Of each size; one more would lie outside their range one time in three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationStudy:
    """All trials, the smallest subsets first.

    `plan` is what decides them, `reference` has the metrics of the scores that the training stored.
    """

    plan: Mapping[str, Any]
    reference: Mapping[str, float]
    trials: tuple[Trial, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of calibration images that were tried."""
        return tuple(dict.fromkeys(trial.images for trial in self.trials))

    def values(self, number: str, *, images: int) -> tuple[float, ...]:
        """One number of each trial with so many images."""
        return tuple(getattr(trial, number) for trial in self.trials if trial.images == images)

    def conclude(self) -> str:
        """What the trials with as many images as an export has, or else the most, amount to."""
        asked = self.plan["settings"]["calibration_images"]
        images = asked if asked in self.sizes else self.sizes[-1]
        moves = {size: _range_of(self.values("recall", images=size)) for size in self.sizes}
        most = max(moves, key=lambda size: moves[size])
        malignant = self.plan["validation"]["malignant"]
        lowest = min(self.values("recall", images=images))
        return (
            f"With {images} images, the choice of images moves recall by {moves[images]:.4f} "
            f"({moves[images] * malignant:.0f} of {malignant} malignant images) and AUC by "
            f"{_range_of(self.values('auc', images=images)):.4f}; the lowest recall is "
            f"{lowest:.4f}, {lowest - self.reference['recall']:+.4f} against float, and recall "
            f"moves most with {most} images, by {moves[most]:.4f}."
        )


def refuse_other_exports(settings: ExportSettings, modes: Collection[Mode]) -> None:
    """Raise for choices that have no part in a study, which repeats plain int8.

    Raises:
        EdgeMelanomaError: the first one found.
    """
    if set(modes) - {Mode.FLOAT32} != {Mode.INT8}:
        raise EdgeMelanomaError("--calibration-study repeats int8 alone; leave --quantize out.")
    tuning, defaults = settings.tuning, TuningSettings()
    for option, value, default in (
        ("--max-recall-drop", settings.max_recall_drop, None),
        ("--qat-epochs", tuning.epochs, defaults.epochs),
        ("--qat-learning-rate", tuning.learning_rate, defaults.learning_rate),
    ):
        if value != default:
            raise EdgeMelanomaError(
                f"{option} has no part in --calibration-study, which repeats int8 as calibration "
                f"alone makes it; leave one of the two out."
            )
    settings.refuse_contradictions([Mode.INT8])


def study_path(run: TrainedModel) -> Path:
    """Where a run's study lies; its picture lies beside it, as .png."""
    return run.exports_folder / "calibration_study.json"


def study_calibration(
    run: TrainedModel,
    *,
    records: Sequence[LesionRecord],
    settings: ExportSettings,
    force: bool,
) -> CalibrationStudy:
    """Calibrate with disjoint subsets of `records`, score the validation side, write the study.

    A study of the same settings, weights and images is kept.

    Raises:
        EdgeMelanomaError: another study is there and `force` is off; there are too few images.
    """
    split = read_json(run.folder / SPLIT)
    own = draw_calibration_set(
        records, split=split, images=settings.calibration_images, seed=settings.seed
    )
    settings = replace(settings, calibration_images=len(own.records))
    subsets, left_out = _draw_subsets(
        records, split=split, sizes={*SIZES, len(own.records)}, seed=settings.seed
    )
    validation = read_side(run, "validation")
    plan = _plan(run, settings, validation=validation, left_out=left_out)
    path = study_path(run)
    if path.exists() and not force:
        return _read_study(path, plan, subsets)
    stored = read_predictions(run.folder / "predictions_validation.csv")
    order = TrialOrder(
        folder=run.folder, settings=settings, own=own, subsets=subsets, validation=validation
    )
    study = CalibrationStudy(
        plan=plan,
        reference=measure(stored, threshold=run.threshold).as_dict(),
        trials=run_in_child(run_trials, order),
    )
    _write_study(study, path)
    return study


def draw_calibration_study(study: CalibrationStudy, path: Path) -> Path:
    """Recall and AUC over the number of images: a dot a subset, a line through their means."""
    from matplotlib.figure import Figure

    from edge_melanoma.evaluation.figures import save_figure

    figure = Figure(figsize=(10, 4.4), layout="constrained")
    places = range(len(study.sizes))
    for axes, number, name in zip(
        figure.subplots(1, 2), ("recall", "auc"), ("recall", "AUC"), strict=True
    ):
        found = [study.values(number, images=size) for size in study.sizes]
        axes.axhline(study.reference[number], color="#7F7F7F", linestyle="--", label="float")
        means = [sum(values) / len(values) for values in found]
        axes.plot(places, means, color="#0072B2", linewidth=1, label="int8, mean")
        for place, values in zip(places, found, strict=True):
            axes.plot([place] * len(values), values, "o", color="#D55E00", alpha=0.6)
        axes.set_xticks(places, [str(size) for size in study.sizes])
        axes.set(xlabel="calibration images", ylabel=name)
        axes.grid(alpha=0.25)
    figure.axes[0].legend(fontsize=8)
    threshold, dataset = study.plan["threshold"], study.plan["validation"]["name"]
    figure.suptitle(f"{dataset}, threshold {threshold:.3f}: a dot is one subset's int8 file")
    return save_figure(figure, path)


def _draw_subsets(
    records: Sequence[LesionRecord], *, split: Mapping[str, Any], sizes: set[int], seed: int
) -> tuple[tuple[CalibrationSet, ...], list[int]]:
    """Those of every size that can be had, and the sizes that cannot.

    Raises:
        EdgeMelanomaError: no size can be had.
    """
    drawn = {
        size: draw_disjoint_sets(records, split=split, images=size, sets=SUBSETS, seed=seed)
        for size in sorted(sizes)
    }
    subsets = tuple(subset for sets in drawn.values() for subset in sets)
    if not subsets:
        raise EdgeMelanomaError(
            f"The training side has too few images of a class for {SUBSETS} disjoint subsets of "
            f"{min(drawn)}, half of each class; try fewer with --calibration-images."
        )
    return subsets, [size for size, sets in drawn.items() if not sets]


def _plan(
    run: TrainedModel,
    settings: ExportSettings,
    *,
    validation: tuple[LesionRecord, ...],
    left_out: list[int],
) -> dict[str, Any]:
    images = {"calibration_images": settings.calibration_images}
    name = f"{run.manifest['dataset']['name']}, validation side"
    return {
        "settings": settings.of_mode(Mode.INT8) | images,
        "seed": settings.seed,
        "variant": run.variant,
        "source_sha256": run.sha256,
        "threshold": run.threshold,
        "validation": describe_dataset(name, validation),
        "left_out": left_out,
    }


def _read_study(
    path: Path, plan: Mapping[str, Any], subsets: Sequence[CalibrationSet]
) -> CalibrationStudy:
    content = read_json(path)
    drawn = [(len(subset.records), subset.fingerprint) for subset in subsets]
    tried = [(trial["images"], trial["fingerprint"]) for trial in content.get("subsets", ())]
    if drawn != tried or any(content.get(key) != value for key, value in plan.items()):
        raise EdgeMelanomaError(
            f"{path} was made with other settings; replace it with --force, or move it away."
        )
    trials = tuple(Trial(**trial) for trial in content["subsets"])
    return CalibrationStudy(plan=plan, reference=content["reference"], trials=trials)


def _write_study(study: CalibrationStudy, path: Path) -> None:
    # The picture first: a study that is there is not made again.
    draw_calibration_study(study, path.with_suffix(".png"))
    content = {
        "schema": 1,
        **study.plan,
        "reference": study.reference,
        "subsets": [asdict(trial) for trial in study.trials],
        "conclusion": study.conclude(),
        "environment": describe_environment(),
    }
    write_json(path, content)


def _range_of(values: Sequence[float]) -> float:
    return max(values) - min(values)
