"""What a person asked of `train`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_melanoma.data.splits import SplitKind
from edge_melanoma.network.variants import Variant
from edge_melanoma.training.trainees import TrainingSettings
from edge_melanoma.training.workers import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOrder:
    """All that a person asked of `train`."""

    data: tuple[Path, ...]
    variants: tuple[Variant, ...]
    weights: str = "imagenet"
    teacher: Path | None = None
    split: SplitKind = SplitKind.POOLED
    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 0
    deterministic: bool = False
    min_recall: float = 0.95
    out: Path | None = None
    out_is_parent: bool = False
    use_cache: bool = True
    cache_folder: Path | None = None
    resume: bool = False
    force: bool = False
    external: Mapping[str, Path] = field(default_factory=dict)
    strategy: Strategy = Strategy.NONE

    def settings(self, variant: Variant) -> TrainingSettings:
        """The part of the order that shapes the weights."""
        return TrainingSettings(
            variant=variant,
            weights=self.weights,
            seed=self.seed,
            deterministic=self.deterministic,
            epochs=self.epochs,
            batch_size=self.batch_size,
            use_cache=self.use_cache,
        )
