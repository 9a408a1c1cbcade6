"""What a stretch of training is made of: its optimizer, and how it varies the pictures."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """Random light, colour, sharpness and frame: what differs between cameras, not between lesions.

    The first six are standard deviations: of the logarithm of the brightness, of each channel's
    gain, of saturation, contrast and gamma, and of the hue in radians. The others are the shares of
    the images that are balanced by shades of grey (Finlayson and Trezzi, 2004), blurred, made
    noisy, seen through a round field with black corners, and darkened towards the corners.
    """

    brightness: float = 0.1
    channel_gain: float = 0.045
    saturation: float = 0.15
    contrast: float = 0.08
    gamma: float = 0.08
    hue: float = 0.05
    shades_of_grey: float = 0.15
    blur: float = 0.2
    noise: float = 0.2
    round_field: float = 0.15
    vignette: float = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Random geometry, drawn anew for each image and epoch, and random appearance if given.

    `rotation` is in turns to either side (0.5 reaches half a turn), `zoom` and `translation` are
    shares of the side length to either side; flips are along both axes with probability one half.
    `crop` is the largest share of the side length that is cut off besides, `stretch` the logarithm
    of the largest change of width against height. `other_filters` is the share of the images that
    are scaled by another filter than the rest: phones do not scale as the training set was scaled.
    """

    flip: bool = True
    rotation: float = 0.5
    zoom: float = 0.2
    translation: float = 0.1
    crop: float = 0.0
    stretch: float = 0.0
    other_filters: float = 0.0
    appearance: Appearance | None = None


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
