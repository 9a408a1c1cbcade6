"""The recipe best shortened, whole and with one part taken away or changed.

The short one trains from block 3 on, as the recipe's last stage does, in four fifths of the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from edge_melanoma.network.recipes import (
    BACKBONE_LAYERS,
    FROM_BLOCK_3,
    MILD,
    Appearance,
    Stage,
    VariantSpec,
)

SHORT_SIZE = 96
SHORT_EPOCHS = 2
SHORT_WARMUP_STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """A change of the recipe: of the whole of it, and of each of its stages."""

    recipe: Mapping[str, Any] = field(default_factory=dict)
    stage: Mapping[str, Any] = field(default_factory=dict)
    largest_set_alone: bool = False


ABOUT_TWICE = Appearance(
    brightness=0.2,
    channel_gain=0.1,
    saturation=0.25,
    contrast=0.15,
    gamma=0.15,
    hue=0.1,
    shades_of_grey=0.3,
)

ABLATIONS: Mapping[str, Ablation] = MappingProxyType(
    {
        "best, in short": Ablation(),
        "every layer trains": Ablation(stage={"unfrozen_backbone_layers": BACKBONE_LAYERS}),
        "last 30 layers train": Ablation(stage={"unfrozen_backbone_layers": 30}),
        "learning rate 3e-4": Ablation(stage={"learning_rate": 3e-4}),
        "learning rate 2e-3": Ablation(stage={"learning_rate": 2e-3}),
        "largest set alone": Ablation(largest_set_alone=True),
        "every picture once": Ablation(recipe={"source_share": None}),
        "geometry varied alone": Ablation(stage={"augmentation": replace(MILD, appearance=None)}),
        "light and colour varied about twice as much": Ablation(
            stage={"augmentation": replace(MILD, appearance=ABOUT_TWICE)}
        ),
        "nothing varied": Ablation(stage={"augmentation": None}),
        "no averaged weights": Ablation(stage={"average_decay": 0.0}),
        "no label smoothing": Ablation(stage={"label_smoothing": 0.0}),
        "batch-norm momentum 0.999": Ablation(recipe={"batch_norm_momentum": 0.999}),
    }
)


def shorten(spec: VariantSpec, ablation: Ablation) -> VariantSpec:
    """The recipe's first stage, small and short, with the change put in."""
    short: Stage = replace(
        spec.stages[0],
        name="short",
        unfrozen_backbone_layers=FROM_BLOCK_3,
        image_size=SHORT_SIZE,
        epochs=SHORT_EPOCHS,
        warmup_steps=SHORT_WARMUP_STEPS,
        final_learning_rate=0.0,
        average_decay=0.995,
    )
    return replace(spec, stages=(replace(short, **ablation.stage),), **ablation.recipe)
