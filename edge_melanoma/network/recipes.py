"""Every training recipe as data.

A variant is a tuple of stages that are trained one after another on the same network; a later
stage goes on from the weights of the one before.

=========  ====================================================  ================================
variant    edge-melanoma ...                                     expected on a pooled 15 % test
=========  ====================================================  ================================
frozen     ``train --variant frozen --data DIR``                 accuracy .91, AUC .97
partial    ``train --variant partial --data DIR``                accuracy .91, AUC .97
augmented  ``train --variant augmented --data DIR``              accuracy .91, AUC .97
scratch    ``demo``                                              accuracy .90, AUC .97 (drawings)
compact    ``train --variant compact --teacher RUN --data DIR``  accuracy .93, AUC .98
best       ``train --variant best --data DIR --data OTHER``      AUC within clinics .87
=========  ====================================================  ================================

The first three are those of the original work. Their expectations hold for the 10,605 images that
are available of the "Melanoma Skin Cancer Dataset of 10000 Images", with ImageNet weights, at
threshold 0.5; they describe that set, which tells clinics (docs/evidence.md). The best one learns
from several sets, and is judged within each of their clinics. The scratch one needs no weights from
elsewhere. The compact one ends in the fourteenth of MobileNetV2's blocks, with 0.9 of 2.4 million
weights: 1.04 MB as int8. More of its layers learn, and ten times as fast as those of the others;
that is the likely reason for its AUC, and not the teacher.
"""

import math
from dataclasses import dataclass, replace
from types import MappingProxyType

from edge_melanoma.runs.manifests import Variant as Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """Random light and colour: what differs between cameras, not between lesions.

    The first four are the largest changes to either side: of the logarithm of the brightness and of
    each channel's gain, and of the factors of contrast and saturation. `noise` is the share of the
    images that are made noisy.
    """

    brightness: float = 0.10
    channel_gain: float = 0.05
    contrast: float = 0.12
    saturation: float = 0.15
    noise: float = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Random geometry, drawn anew for each image and epoch, and random appearance if given.

    `rotation` is in turns to either side (0.5 reaches half a turn), `zoom` and `translation` are
    shares of the side length to either side; flips are along both axes with probability one half.
    `field`, in place of the zoom, is the least and the largest side of what is seen, in sides of
    the picture, even in its logarithm. `stretch` is the logarithm of the largest change of width
    against height. `other_filters` is the share of the images that are scaled by another filter
    than the rest: phones do not scale as the training set was scaled. `low_resolution` is the share
    that is shown from `LOW_RESOLUTION_SIDE` pixels, so that sharpness does not tell the clinic.
    """

    flip: bool = True
    rotation: float = 0.5
    zoom: float = 0.2
    translation: float = 0.1
    field: tuple[float, float] | None = None
    stretch: float = 0.0
    other_filters: float = 0.0
    low_resolution: float = 0.0
    appearance: Appearance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What an epoch of `views` pictures shows, of each source that has both classes.

    A source's share grows with the root of the number of pictures of its rarer class;
    `malignant_share` of them are malignant. Within a class the diagnoses are shown as often as
    their weights in `diagnoses` say, however many pictures there are of each; what is not named
    there is shown as often as it is met.
    """

    views: int
    malignant_share: float
    diagnoses: tuple[tuple[str, float], ...]

    def share_of(self, is_malignant: bool) -> float:
        """Of an epoch, by class."""
        return self.malignant_share if is_malignant else 1 - self.malignant_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stretch of training with one optimizer.

    `unfrozen_backbone_layers` counts from the end of the backbone; `patience` is the number of
    epochs without a better validation loss after which training stops and the best weights are
    restored (none: all epochs run and the last weights are kept). The learning rate rises over
    `warmup_steps` and falls along half a cosine to `final_learning_rate`, where one is given.
    `image_size` is the side in pixels at which the stage sees the pictures. Where `average_decay`
    is not zero, validation and what comes after see an exponential average of the weights with
    that decay a step. `label_smoothing` moves labels so far from 0 and from 1.
    """

    name: str
    unfrozen_backbone_layers: int
    learning_rate: float
    epochs: int
    augmentation: Augmentation | None = None
    patience: int | None = None
    image_size: int = 224
    warmup_steps: int = 0
    final_learning_rate: float | None = None
    average_decay: float = 0.0
    label_smoothing: float = 0.0

    def rate_at(self, *, step: int, steps_per_epoch: int) -> float:
        """The learning rate of the step number `step` of the stage, counted from 0.

        Linear warm-up, then half a cosine from `learning_rate` to `final_learning_rate` over all
        steps (Loshchilov and Hutter, 2017, without restarts); constant without a final one.
        """
        warmth = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.final_learning_rate is None:
            return warmth * self.learning_rate
        progress = min(1.0, step / max(1, self.epochs * steps_per_epoch))
        share = (1 + math.cos(math.pi * progress)) / 2
        fall = self.learning_rate - self.final_learning_rate
        return warmth * (self.final_learning_rate + share * fall)


BACKBONE_LAYERS = 154
"""Layers of a whole MobileNetV2 without its top, the input layer included."""

LOW_RESOLUTION_SIDE = 84
"""Pixels, of the smallest pictures that are trained on."""

NAMED_DIAGNOSES = ("nv", "mel", "bkl", "bcc", "akiec", "other")
"""What a network learns to tell apart beside its score, where a recipe has a `diagnosis_loss`."""

LAST_LAYER = "out_relu"
"""With which a whole MobileNetV2 without its top ends."""

TEACHER_WEIGHTS = "teacher"
"""Where the backbone of a student may start from: a copy of its teacher's."""
NAMED_WEIGHTS = frozenset({"imagenet", "bundled", "none", TEACHER_WEIGHTS})
"""What `--weights` may say in place of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What networks that were trained elsewhere have otherwise than those of the recipes.

    `border` is what the first convolution sees around the picture, of which 0 is black and 1 is
    white: grey where it was trained on pixels in -1..1. Of a softmax over several classes, the
    first `malignant_classes` of `classes` count as malignant; without any there is one sigmoid.
    """

    alpha: float = 1.0
    image_size: int = 224
    border: float = 0.0
    classes: int = 0
    malignant_classes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantSpec:
    """The architecture's free choices and the stages that train it.

    `batch_norm_momentum` is Keras' own for MobileNetV2 unless a recipe trains all layers in few
    steps: at 0.999 the running statistics lag some thousand steps behind. What comes after
    `last_layer` is left out. Where a teacher is given, `teacher_share` of what a picture should
    score is the teacher's score and the rest its label; at zero a recipe takes no teacher.
    An epoch shows each picture once, or what `sampling` says. While the network trains it also
    names the diagnosis where that is known, and the cross-entropy of that adds `diagnosis_loss`
    times to its loss. With 8 `views` a picture's score is the mean over its flips and quarter
    turns, in the network and in its files. Where `calibrated`, the last layer is scaled at the end,
    so that on validation scores are probabilities; the recipes of the original work are compared at
    0.5 and left as they are.
    With `half_precision` the trained weights are rounded to float16 before anything is measured,
    and stored so, in half of the space.
    Without `dense_units` the score follows the pooled features at once.
    """

    variant: Variant
    stages: tuple[Stage, ...]
    batch_size: int = 16
    dense_units: int = 128
    dropout: float = 0.3
    last_layer: str = LAST_LAYER
    batch_norm_momentum: float = 0.999
    teacher_share: float = 0.0
    sampling: Sampling | None = None
    diagnosis_loss: float = 0.0
    views: int = 1
    calibrated: bool = False
    half_precision: bool = False
    shape: Shape = Shape()


HEAD = Stage(name="head", unfrozen_backbone_layers=0, learning_rate=1e-3, epochs=10)
FINE_TUNE = Stage(name="fine-tune", unfrozen_backbone_layers=30, learning_rate=1e-5, epochs=10)
AUGMENTED = replace(
    FINE_TUNE, name="augmented", epochs=30, augmentation=Augmentation(), patience=10
)
FROM_NOTHING = Stage(
    name="all layers", unfrozen_backbone_layers=BACKBONE_LAYERS, learning_rate=1e-3, epochs=4
)
SETTLE = replace(FROM_NOTHING, name="settle", learning_rate=1e-4, epochs=2)

TAIL = Stage(name="tail", unfrozen_backbone_layers=41, learning_rate=1e-4, epochs=2)
"""From block_10_expand on."""

COMPACT = VariantSpec(
    variant=Variant.COMPACT,
    stages=(HEAD, TAIL, replace(TAIL, name="settle", learning_rate=1e-5, epochs=2)),
    dense_units=64,
    last_layer="block_14_depthwise_relu",
    batch_norm_momentum=0.99,
    teacher_share=1.0,
)

OTHER_CLINICS = Augmentation(
    zoom=0.0,
    field=(0.6, 1.3),
    translation=0.06,
    stretch=0.12,
    other_filters=0.1,
    low_resolution=0.35,
    appearance=Appearance(),
)
"""Whole frames and crops differ by scale, clinics by sharpness more than by colour."""

EVERY_CLINIC = Sampling(
    views=14_000,
    malignant_share=0.45,
    diagnoses=(
        ("mel", 1.0),
        ("bcc", 0.3),
        ("akiec", 0.18),
        ("nv", 1.0),
        ("bkl", 0.6),
        ("df", 0.09),
        ("vasc", 0.07),
    ),
)
"""Keratoses are shown oftener than carcinomas, or what looks like one is learnt as malignant."""

FROM_BLOCK_3 = 127
"""Layers from block_3_expand on: those before it, 1 % of the weights, take a third of the time."""

LOW_RESOLUTION = Stage(
    name="160 pixels",
    unfrozen_backbone_layers=BACKBONE_LAYERS,
    learning_rate=8e-4,
    final_learning_rate=8e-5,
    warmup_steps=200,
    epochs=18,
    augmentation=OTHER_CLINICS,
    image_size=160,
    average_decay=0.998,
    label_smoothing=0.03,
)
FULL_RESOLUTION = replace(
    LOW_RESOLUTION,
    name="224 pixels",
    unfrozen_backbone_layers=FROM_BLOCK_3,
    learning_rate=2e-4,
    final_learning_rate=4e-6,
    epochs=3,
    image_size=224,
)

BEST = VariantSpec(
    variant=Variant.BEST,
    stages=(LOW_RESOLUTION, FULL_RESOLUTION),
    batch_size=32,
    batch_norm_momentum=0.99,
    sampling=EVERY_CLINIC,
    diagnosis_loss=0.5,
    views=8,
    calibrated=True,
    half_precision=True,
)

VARIANTS = MappingProxyType(
    {
        Variant.BEST: BEST,
        Variant.FROZEN: VariantSpec(variant=Variant.FROZEN, stages=(HEAD,)),
        Variant.PARTIAL: VariantSpec(variant=Variant.PARTIAL, stages=(HEAD, FINE_TUNE)),
        Variant.AUGMENTED: VariantSpec(variant=Variant.AUGMENTED, stages=(AUGMENTED,)),
        Variant.SCRATCH: VariantSpec(
            variant=Variant.SCRATCH, stages=(FROM_NOTHING, SETTLE), batch_norm_momentum=0.9
        ),
        Variant.COMPACT: COMPACT,
    }
)


ORIGINAL = (Variant.FROZEN, Variant.PARTIAL, Variant.AUGMENTED)
"""What `--variant all` trains."""

PUBLISHED = MappingProxyType(
    {
        Variant.FROZEN: {"recall": 0.89, "f1": 0.8757, "accuracy": 0.8805},
        Variant.PARTIAL: {"recall": 0.90, "f1": 0.8848, "accuracy": 0.8891},
        Variant.AUGMENTED: {"recall": 0.83, "f1": 0.8680, "accuracy": 0.8805},
    }
)
"""What the original work reports on its own test split of 13,879 images, at threshold 0.5."""
