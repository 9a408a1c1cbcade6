"""What each stage of a recipe learns from, and the part of the network that it trains."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.network import cut_layer, freeze_backbone, suffix_of
from edge_melanoma.network.recipes import VARIANTS, Stage, Variant, VariantSpec
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.training.activations import FrozenPrefix, cache_activations
from edge_melanoma.training.batches import (
    BatchSource,
    CachedBatches,
    DistilledBatches,
    PixelBatches,
    labels_of,
)
from edge_melanoma.training.fitting import Trainee
from edge_melanoma.training.sampling import draw_epoch
from edge_melanoma.training.varied_batches import varied_batches


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What a person may choose; `epochs`, where given, is that of every stage.

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
class Teacher:
    """A run to learn from; `scores` are its P(malignant) of `split.train`, in that order."""

    run: TrainedModel
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TraineeMaker:
    """Chooses for a stage between the activation cache and the pixels, labels and a teacher."""

    split: DatasetSplit
    settings: TrainingSettings
    cache_folder: Path
    reporter: Reporter
    teacher: Teacher | None = None

    def trainee(self, network: Any, stage: Stage, *, number: int, batch_size: int) -> Trainee:
        """What trains the stage that has this number in the recipe, counted from 0."""
        freeze_backbone(network, unfrozen_layers=stage.unfrozen_backbone_layers)
        model, source = self._model_and_source(network, stage, number)
        share = self.settings.spec().source_share
        return Trainee(
            network=network,
            model=model,
            train=self._taught(source(self.split.train, stage), stage),
            validation=source(self.split.validation, replace(stage, augmentation=None)),
            batch_size=batch_size,
            seed=self.settings.seed,
            sampler=lambda random: draw_epoch(self.split.train, source_share=share, random=random),
        )

    def _model_and_source(
        self, network: Any, stage: Stage, number: int
    ) -> tuple[Any, Callable[[tuple[LesionRecord, ...], Stage], BatchSource]]:
        """The part of the network that trains, and what makes its inputs from pictures."""
        if _is_varied(stage):
            return network, partial(
                varied_batches,
                stage_number=number,
                seed=self.settings.seed,
                cache_folder=self.cache_folder if self.settings.use_cache else None,
                reporter=self.reporter,
            )
        cut = cut_layer(network, unfrozen_layers=stage.unfrozen_backbone_layers)
        if self.settings.use_cache and cut is not None:
            prefix = FrozenPrefix(network, cut=cut)
            return suffix_of(network, cut=cut), partial(self._source, prefix=prefix)
        return network, partial(self._source, prefix=None)

    def _taught(self, source: BatchSource, stage: Stage) -> BatchSource:
        """The teacher has seen the plain pictures alone, not their variations."""
        if self.teacher is None or stage.augmentation is not None:
            return source
        share = np.float32(self.settings.spec().teacher_share)
        scores = share * self.teacher.scores + (1 - share) * source.labels
        return DistilledBatches(source=source, scores=scores)

    def _source(
        self, records: tuple[LesionRecord, ...], stage: Stage, *, prefix: FrozenPrefix | None
    ) -> BatchSource:
        if prefix is None or stage.augmentation is not None:
            return PixelBatches(
                records=records,
                labels=labels_of(records),
                seed=self.settings.seed,
                augmentation=stage.augmentation,
                prefix=prefix,
            )
        activations = cache_activations(
            prefix, records, cache_folder=self.cache_folder, reporter=self.reporter
        )
        return CachedBatches(activations=activations, labels=labels_of(records))


def _is_varied(stage: Stage) -> bool:
    """Whether a stage asks for more than turns and shifts at the network's own size."""
    appearance = stage.augmentation is not None and stage.augmentation.appearance is not None
    return appearance or stage.image_size != IMAGE_SIZE
