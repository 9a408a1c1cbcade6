"""What a training is made of: settings, a place, the pictures and their split, a teacher if any."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.cards import describe_dataset, find_card
from edge_melanoma.data.copies.search import split_without_copies
from edge_melanoma.data.labels import AS_FOUND, Reading
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import BadImage, leave_out_bad, read_fingerprints
from edge_melanoma.data.splits import DatasetSplit, SplitKind
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.machine.files import sha256_of_file
from edge_melanoma.machine.ray import connect
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.recipes import TEACHER_WEIGHTS, VARIANTS, Variant, VariantSpec
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.runtime.names import Engine, Strategy
from edge_melanoma.training.devices import ALONE, Devices, device_names, mirror

PREDICTIONS = "predictions_train.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What a person may choose of a training; `epochs`, where given, is that of every stage.

    `recipe` stands for the variant's own one, where its parts are weighed against each other.
    """

    variant: Variant
    weights: str = "imagenet"
    seed: int = 0
    deterministic: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    use_cache: bool = True
    recipe: VariantSpec | None = None

    def spec(self) -> VariantSpec:
        """The variant's recipe with these settings put in."""
        spec = self.recipe or VARIANTS[self.variant]
        stages = spec.stages
        if self.epochs is not None:
            stages = tuple(replace(stage, epochs=self.epochs) for stage in stages)
        return replace(spec, stages=stages, batch_size=self.batch_size or spec.batch_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a training runs, as a person asked for it; `address` is that of a Ray cluster."""

    strategy: Strategy = Strategy.NONE
    engine: Engine = Engine.LOCAL
    workers: int = 1
    address: str | None = None

    def devices(self) -> Devices:
        """Those of this process, where it trains by itself."""
        return mirror() if self.strategy is Strategy.MIRRORED else ALONE

    def running(self) -> AbstractContextManager[Any]:
        """Within it Ray runs, where it is to train."""
        if self.engine is Engine.RAY:
            return connect(self.address, workers=self.workers)
        return nullcontext()

    def describe(self) -> dict[str, str | int] | None:
        """For the manifest; nothing where one process trained on one device by itself."""
        if self.engine is Engine.RAY:
            return {"strategy": "ray", "workers": self.workers, "replicas": self.workers}
        if self.strategy is Strategy.NONE:
            return None
        return {"strategy": self.strategy, "workers": 1, "replicas": len(device_names())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A run to learn from; `scores` are its P(malignant) of `split.train`, in that order."""

    run: TrainedModel
    scores: NDArray[np.float32]

    def as_dict(self) -> dict[str, str]:
        """For the student's manifest."""
        name = self.run.folder.resolve().name
        return {"run": name, "variant": self.run.variant, "sha256": self.run.sha256}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMaterial:
    """What all variants of a command learn from; `dataset` is that block of the run's files."""

    dataset: Mapping[str, Any]
    folders: Mapping[str, Path]
    split: DatasetSplit
    bad: tuple[BadImage, ...]
    teacher: Teacher | None


def gather_material(
    named: Mapping[str, Path],
    records: tuple[LesionRecord, ...],
    reading: Reading = AS_FOUND,
    *,
    kind: SplitKind,
    seed: int,
    teacher: TrainedModel | None,
    cache_folder: Path,
    reporter: Reporter,
) -> TrainingMaterial:
    """Check the pictures of the data sets and split them without copies."""
    cards = {name: find_card(path) for name, path in named.items()}
    several = {"cards": cards} if len(cards) > 1 else {}
    prints = read_fingerprints(records, cache_folder=cache_folder, reporter=reporter)
    leave_out_bad(prints.bad, total=len(records), reporter=reporter)
    split = split_without_copies(
        prints, kind=kind, seed=seed, cache_folder=cache_folder, reporter=reporter
    )
    card = None if several else next(iter(cards.values()))
    block = describe_dataset(" + ".join(named), prints.readable, card=card) | several
    if reading != AS_FOUND:
        block["reading"] = reading.as_dict()
    return TrainingMaterial(
        dataset=block,
        folders=named,
        split=split,
        bad=prints.bad,
        teacher=read_teacher(teacher, split) if teacher else None,
    )


def open_teacher(folder: Path | None, settings: Sequence[TrainingSettings]) -> TrainedModel | None:
    """The run to learn from, if one was given.

    Raises:
        EdgeMelanomaError: no run, or a variant that has no teacher.
    """
    if folder is None:
        if settings[0].weights == TEACHER_WEIGHTS:
            raise EdgeMelanomaError("--weights teacher needs --teacher RUN, a finished run.")
        return None
    learners = [variant for variant, spec in VARIANTS.items() if spec.teacher_share > 0]
    if not {one.variant for one in settings} <= set(learners):
        raise EdgeMelanomaError(
            f"--teacher is for --variant {', '.join(learners)}; the other variants learn from the "
            f"labels alone."
        )
    return open_run(folder)


def read_teacher(run: TrainedModel, split: DatasetSplit) -> Teacher:
    """The run with its scores of the training side of `split`, which must be its own split.

    Else the student would be judged on pictures that its teacher learned by heart.

    Raises:
        EdgeMelanomaError: other pictures or another split, or the scores are not the manifest's.
    """
    theirs = run.manifest["split"]
    if theirs["fingerprint"] != split.fingerprint:
        dataset = run.manifest["dataset"]
        raise EdgeMelanomaError(
            f"The teacher {run.folder} was trained on another split or on other images "
            f"({dataset['images']} of {dataset['name']}, --split {theirs['kind']}, "
            f"--seed {theirs['seed']}); repeat its --data, --split and --seed, "
            f"or train a teacher with these."
        )
    path = run.folder / PREDICTIONS
    told = run.manifest["files"].get(PREDICTIONS, {}).get("sha256")
    if not path.is_file() or sha256_of_file(path) != told:
        raise EdgeMelanomaError(
            f"{path} is missing or not the file that the teacher's manifest describes; "
            f"restore it or train the teacher again."
        )
    predictions = read_predictions(path)
    by_id = dict(zip(predictions.image_ids, predictions.scores, strict=True))
    scores = np.array([by_id[record.image_id] for record in split.train], dtype=np.float32)
    return Teacher(run=run, scores=scores)


def identity_of(settings: TrainingSettings, split: DatasetSplit, teacher: Teacher | None) -> str:
    """All that the weights depend on but the machine: a checkpoint fits one of these only."""
    weights = Path(settings.weights)
    recipe = asdict(settings.spec())
    # What comes after all checkpoints.
    del recipe["calibrated"], recipe["half_precision"], recipe["views"], recipe["shape"]
    told = {
        "recipe": recipe,
        "seed": settings.seed,
        "cache": settings.use_cache,
        "weights": sha256_of_file(weights) if weights.is_file() else settings.weights,
        "data": split.fingerprint,
        "teacher": teacher.run.sha256 if teacher else None,
    }
    if settings.deterministic:
        told["deterministic"] = True
    return json.dumps(told, sort_keys=True)
