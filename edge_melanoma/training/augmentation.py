"""Random variations of pictures, drawn from seeds: of geometry and of what differs between cameras.

Flips, turns, zooms and shifts are one affine map an image, from seed, epoch and image: one
interpolation instead of four keeps fine structure, and drawing without a running state lets an
interrupted training go on with the very same pictures.

Cameras, dermatoscopes and their software differ from clinic to clinic. What varies the appearance
changes what a camera could have changed and leaves the lesion what it is.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import Pixels, resize_image
from edge_melanoma.machine.tensorflow import tf
from edge_melanoma.network.recipes import LOW_RESOLUTION_SIDE, Appearance, Augmentation

LARGEST_UNFILTERED_SHRINKAGE = 4 / 3
"""Pictures that lose more than this are averaged over two by two pixels before."""

APPEARANCE_STREAM, SHARPNESS_STREAM, FILTER_STREAM = 1, 2, 3
"""End the seeds of what is drawn apart from the places, and each from the others."""

LARGEST_NOISE = 0.025
"""Standard deviation of a pixel's channel, of 1."""

Floats = NDArray[np.float32]
Seeds = NDArray[np.int64]
"""A row of integers an image, shape (n, k)."""
Draws = Mapping[str, Floats]


class Filter(Enum):
    """How a place between pixels gets its value."""

    NEAREST = "the nearest pixel"
    BILINEAR = "between the four pixels around"
    AVERAGED = "between averages over two by two pixels"


def augment_images(
    pixels: Pixels, augmentation: Augmentation, *, seeds: Seeds, size: int | None = None
) -> Pixels:
    """Varied pictures (n, height, width, 3), or (n, size, size, 3) of square ones.

    What lies outside the picture is filled by reflection. The appearance is not this function's
    business.
    """
    pixels = _blur_some(pixels, augmentation.low_resolution, seeds)
    height, width = pixels.shape[1:3]
    shrinkage = 1.0 if size is None else height / size
    maps = np.stack([_draw_map(augmentation, row, (height, width), shrinkage) for row in seeds])
    filters = np.array([_draw_filter(augmentation, row, shrinkage) for row in seeds])
    shape = (height, width) if size is None else (size, size)
    varied = np.empty((len(pixels), *shape, 3), dtype=np.uint8)
    for resampling in Filter:
        chosen = filters == resampling
        if chosen.any():
            varied[chosen] = _transform(pixels[chosen], maps[chosen], resampling, shape)
    return varied


def _blur_some(pixels: Pixels, share: float, seeds: Seeds) -> Pixels:
    """The pictures, that share of them as a small file of each would have given it."""
    if not share:
        return pixels
    sides = pixels.shape[1]
    seen = pixels.copy()
    for picture, row in zip(seen, seeds, strict=True):
        if np.random.default_rng([*row, SHARPNESS_STREAM]).random() < share:
            small = resize_image(picture, size=LOW_RESOLUTION_SIDE)
            picture[:] = resize_image(small, size=sides)
    return seen


def _transform(pixels: Pixels, maps: Floats, resampling: Filter, shape: tuple[int, int]) -> Pixels:
    images = tf.constant(pixels)
    if resampling is Filter.AVERAGED:
        images = tf.nn.avg_pool2d(tf.cast(images, tf.float32), 2, 1, "SAME")
    varied = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.constant(maps),
        output_shape=tf.constant(shape),
        fill_value=0.0,
        interpolation="NEAREST" if resampling is Filter.NEAREST else "BILINEAR",
        fill_mode="REFLECT",
    ).numpy()
    whole: Pixels = np.rint(varied).astype(np.uint8)
    return whole


def _draw_filter(augmentation: Augmentation, seed: Seeds, shrinkage: float) -> Filter:
    usual = Filter.BILINEAR if shrinkage <= LARGEST_UNFILTERED_SHRINKAGE else Filter.AVERAGED
    random = np.random.default_rng([*seed, FILTER_STREAM])
    if random.random() >= augmentation.other_filters:
        return usual
    others = [resampling for resampling in Filter if resampling is not usual]
    return others[random.integers(len(others))]


def _draw_map(
    augmentation: Augmentation, seed: Seeds, shape: tuple[int, int], shrinkage: float
) -> Floats:
    """The eight numbers that take a place in the varied picture to one in the original."""
    height, width = shape
    random = np.random.default_rng(seed)
    angle = random.uniform(-1, 1) * augmentation.rotation * 2 * np.pi
    if augmentation.field is None:
        scale = 1 + random.uniform(-1, 1) * augmentation.zoom
    else:
        scale = np.exp(random.uniform(*np.log(augmentation.field)))
    flip_x, flip_y = np.where(random.random(2) < 0.5, -1, 1) if augmentation.flip else (1, 1)
    shift_x, shift_y = random.uniform(-1, 1, 2) * augmentation.translation * (width, height)
    stretch = np.exp(random.uniform(-1, 1) * augmentation.stretch)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = shrinkage * turn * [[flip_x * stretch], [flip_y / stretch]]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    varied_centre = np.array([(width / shrinkage - 1) / 2, (height / shrinkage - 1) / 2])
    offset = centre - linear @ varied_centre + (shift_x, shift_y)
    return np.array([*linear[0], offset[0], *linear[1], offset[1], 0.0, 0.0], dtype=np.float32)


def vary_appearance(images: Any, appearance: Appearance, *, seeds: Seeds) -> Floats:
    """Pictures in 0..1 (n, side, side, 3) as other cameras might have seen them.

    Equal rows of `seeds` give equal variations.
    """
    drawn = [
        _draw_appearance(appearance, np.random.default_rng([*row, APPEARANCE_STREAM]))
        for row in seeds
    ]
    draws = {name: np.stack([one[name] for one in drawn]) for name in drawn[0]}
    noise_seed = np.asarray(seeds[0][-2:], dtype=np.int32)
    varied: Floats = _apply(images, draws, noise_seed).numpy()
    return varied


def _draw_appearance(appearance: Appearance, random: np.random.Generator) -> dict[str, Floats]:
    """The numbers that make the variation of one picture, as arrays that broadcast over pixels."""
    brightness, contrast, saturation = random.uniform(-1, 1, 3)
    gains = np.exp(
        brightness * appearance.brightness + random.uniform(-1, 1, 3) * appearance.channel_gain
    )
    numbers = {
        "gains": gains,
        "contrast": 1 + contrast * appearance.contrast,
        "saturation": 1 + saturation * appearance.saturation,
        "noise": random.uniform(0, LARGEST_NOISE) * (random.random() < appearance.noise),
    }
    return {
        name: np.asarray(number, dtype=np.float32).reshape(1, 1, -1)
        for name, number in numbers.items()
    }


@tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow is untyped
def _apply(images: Any, draws: Draws, noise_seed: Any) -> Any:
    lit = images * draws["gains"]
    grey = tf.reduce_mean(lit, axis=3, keepdims=True)
    coloured = grey + (lit - grey) * draws["saturation"]
    mean = tf.reduce_mean(coloured, axis=[1, 2, 3], keepdims=True)
    contrasted = mean + (coloured - mean) * draws["contrast"]
    return tf.clip_by_value(_add_noise(contrasted, draws["noise"], seed=noise_seed), 0.0, 1.0)


def _add_noise(images: Any, deviations: Any, *, seed: Any) -> Any:
    """Normal noise, drawn for those images alone whose deviation (n, 1, 1, 1) is not zero."""
    noisy = tf.where(deviations[:, 0, 0, 0] > 0)
    chosen = tf.gather_nd(deviations, noisy)
    shape = tf.concat([tf.shape(chosen)[:1], tf.shape(images)[1:]], axis=0)
    noise = chosen * tf.random.stateless_normal(shape, seed=seed)
    return tf.tensor_scatter_nd_add(images, noisy, noise)
