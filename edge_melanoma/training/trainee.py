"""What each stage of a recipe learns from, and the part of the network that it trains."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.clinics import source_of
from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.network import cut_layer, freeze_backbone, suffix_of
from edge_melanoma.network.recipes import Augmentation, Stage
from edge_melanoma.training import batches
from edge_melanoma.training.activations import DecodedPictures, FrozenPrefix, cache_activations
from edge_melanoma.training.devices import ALONE, Devices
from edge_melanoma.training.material import Teacher, TrainingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainee:
    """What one stage trains: `model` is the network, or the part of it that is not frozen.

    `targets` are a teacher's scores, which are learned instead of the labels of `train`, shape
    (n,). `diagnoses` are places in `NAMED_DIAGNOSES`, shape (n,), -1 where not known, which the
    model names behind its score and learns with the weight `diagnosis_loss`. `rank` of the
    validation scores is smallest for the best weights, the first ones among them; without it the
    validation loss is, from the first epoch on. `threshold` is that of the metrics, `sources` are
    those of the validation pictures.
    """

    network: Any
    model: Any
    stage: Stage
    train: batches.BatchSource
    validation: batches.BatchSource
    batch_size: int
    seed: int
    targets: NDArray[np.float32] | None = None
    threshold: float = 0.5
    rank: Callable[[NDArray[np.float64]], float] | None = None
    sampler: Callable[[np.random.Generator], NDArray[np.int64]] | None = None
    diagnoses: NDArray[np.float32] | None = None
    diagnosis_loss: float = 0.0
    sources: tuple[str, ...] = ()

    def order(self, number: int, epoch: int) -> NDArray[np.int64]:
        """The positions of an epoch's images in their order; all of them without a sampler.

        The stage has this number in its recipe, counted from 0. How many images an epoch has does
        not depend on which of them are drawn.
        """
        random = np.random.default_rng([self.seed, number, epoch])
        return self.sampler(random) if self.sampler else random.permutation(len(self.train.labels))


@dataclass(frozen=True, slots=True)
class TraineeMaker:
    """Chooses for a stage between the activation cache and the pixels, labels and a teacher."""

    split: DatasetSplit
    settings: TrainingSettings
    cache_folder: Path
    reporter: Reporter
    teacher: Teacher | None = None

    def trainee(
        self,
        network: Any,
        stage: Stage,
        *,
        number: int,
        plain: Any = None,
        devices: Devices = ALONE,
    ) -> Trainee:
        """What trains the stage that has this number in the recipe, counted from 0.

        Of a network on several devices, what is frozen is read from `plain`, which has equal
        weights on one of them.
        """
        spec, unfrozen = self.settings.spec(), stage.unfrozen_backbone_layers
        freeze_backbone(network, unfrozen_layers=unfrozen)
        cut = None
        if self.settings.use_cache and not is_varied(stage):
            cut = cut_layer(network, unfrozen_layers=unfrozen)
        prefix = FrozenPrefix(network if plain is None else plain, cut=cut) if cut else None
        with devices.scope():
            model = suffix_of(network, cut=cut) if cut else network
        source = partial(self._source, stage=stage, number=number, prefix=prefix)
        return Trainee(
            network=network,
            model=model,
            stage=stage,
            train=source(self.split.train, stage.augmentation),
            validation=source(self.split.validation, None),
            batch_size=spec.batch_size,
            seed=self.settings.seed,
            targets=self._targets(stage),
            sampler=lambda random: batches.draw_epoch(
                self.split.train, sampling=spec.sampling, random=random
            ),
            diagnoses=batches.name_diagnoses(self.split.train) if spec.diagnosis_loss else None,
            diagnosis_loss=spec.diagnosis_loss,
            sources=tuple(map(source_of, self.split.validation)),
        )

    def _source(
        self,
        records: tuple[LesionRecord, ...],
        augmentation: Augmentation | None,
        *,
        stage: Stage,
        number: int,
        prefix: FrozenPrefix | None,
    ) -> batches.BatchSource:
        labels, seed, varied = batches.labels_of(records), self.settings.seed, is_varied(stage)
        kept = partial(
            cache_activations,
            records=records,
            cache_folder=self.cache_folder,
            reporter=self.reporter,
        )
        if prefix is not None and augmentation is None:
            return batches.CachedBatches(activations=kept(prefix), labels=labels)
        return batches.PictureBatches(
            files=[record.path for record in records],
            labels=labels,
            seed=(seed, number) if varied else (seed,),
            augmentation=augmentation,
            image_size=stage.image_size,
            store=kept(DecodedPictures()) if varied and self.settings.use_cache else None,
            prefix=prefix,
        )

    def _targets(self, stage: Stage) -> NDArray[np.float32] | None:
        """The teacher has seen the plain pictures alone, not their variations."""
        if self.teacher is None or stage.augmentation is not None:
            return None
        share = np.float32(self.settings.spec().teacher_share)
        return share * self.teacher.scores + (1 - share) * batches.labels_of(self.split.train)


def is_varied(stage: Stage) -> bool:
    """Whether a stage asks for more than turns and shifts at the network's own size."""
    appearance = stage.augmentation is not None and stage.augmentation.appearance is not None
    return appearance or stage.image_size != IMAGE_SIZE
