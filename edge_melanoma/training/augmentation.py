"""Random variations of pictures, drawn from seeds: of geometry and of what differs between cameras.

Flips, turns, zooms and shifts are one affine map an image, from seed, epoch and image: one
interpolation instead of four keeps fine structure, and drawing without a running state lets an
interrupted training go on with the very same pictures.

Cameras, dermatoscopes and their software differ from clinic to clinic, and where the classes of a
data set come from different clinics a network learns the clinics. What varies the appearance
changes what a camera could have changed and leaves the lesion what it is.
"""

from collections.abc import Mapping
from enum import Enum
from functools import reduce
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.tensorflow import tf
from edge_melanoma.network.recipes import Appearance, Augmentation

LARGEST_UNFILTERED_SHRINKAGE = 4 / 3
"""Pictures that lose more than this are averaged over two by two pixels before."""

FILTER_STREAM = 1
"""Ends the seed of the filters, so that they and the places are drawn apart."""

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Of ITU-R BT.601."""

HUE_GENERATOR = np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]) / np.sqrt(3)
SHADES_OF_GREY_NORM = 6
"""The Minkowski norm that Finlayson and Trezzi found best."""

FIELD_RADII = (0.95, 1.35)
"""Of a round field of view, in half side lengths: the corners are at 1.41."""

FIELD_EDGES = (20.0, 100.0)
"""Steepness of the field's edge, an inverse of half side lengths."""

VIGNETTE_DEPTHS = (0.1, 0.5)
LARGEST_NOISE = 0.04
SMALLEST_INTENSITY = 1e-4

Draws = Mapping[str, NDArray[np.float32]]


class Filter(Enum):
    """How a place between pixels gets its value."""

    NEAREST = "the nearest pixel"
    BILINEAR = "between the four pixels around"
    AVERAGED = "between averages over two by two pixels"


def augment_images(
    pixels: NDArray[np.uint8],
    augmentation: Augmentation,
    *,
    seeds: NDArray[np.int64],
    size: int | None = None,
) -> NDArray[np.uint8]:
    """Varied pictures (n, height, width, 3), or (n, size, size, 3) of square ones.

    `seeds` (n, k) holds one row of integers an image. What lies outside the picture is filled by
    reflection. The appearance is not this function's business.
    """
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


def _transform(
    pixels: NDArray[np.uint8],
    maps: NDArray[np.float32],
    resampling: Filter,
    shape: tuple[int, int],
) -> NDArray[np.uint8]:
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
    whole: NDArray[np.uint8] = np.rint(varied).astype(np.uint8)
    return whole


def _draw_filter(augmentation: Augmentation, seed: NDArray[np.int64], shrinkage: float) -> Filter:
    usual = Filter.BILINEAR if shrinkage <= LARGEST_UNFILTERED_SHRINKAGE else Filter.AVERAGED
    random = np.random.default_rng([*seed, FILTER_STREAM])
    if random.random() >= augmentation.other_filters:
        return usual
    others = [resampling for resampling in Filter if resampling is not usual]
    return others[random.integers(len(others))]


def _draw_map(
    augmentation: Augmentation, seed: NDArray[np.int64], shape: tuple[int, int], shrinkage: float
) -> NDArray[np.float32]:
    """The eight numbers that take a place in the varied picture to one in the original."""
    height, width = shape
    random = np.random.default_rng(seed)
    angle = random.uniform(-1, 1) * augmentation.rotation * 2 * np.pi
    scale = 1 + random.uniform(-1, 1) * augmentation.zoom
    flip_x, flip_y = np.where(random.random(2) < 0.5, -1, 1) if augmentation.flip else (1, 1)
    shift_x, shift_y = random.uniform(-1, 1, 2) * augmentation.translation * (width, height)
    scale *= 1 - random.random() * augmentation.crop
    stretch = np.exp(random.uniform(-1, 1) * augmentation.stretch / 2)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = shrinkage * turn * [[flip_x * stretch], [flip_y / stretch]]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    varied_centre = np.array([(width / shrinkage - 1) / 2, (height / shrinkage - 1) / 2])
    offset = centre - linear @ varied_centre + (shift_x, shift_y)
    return np.array([*linear[0], offset[0], *linear[1], offset[1], 0.0, 0.0], dtype=np.float32)


def vary_appearance(
    images: Any, appearance: Appearance, *, seeds: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Pictures in 0..1 (n, side, side, 3) as other cameras might have seen them.

    `seeds` (n, k) holds one row of integers an image; equal rows give equal variations.
    """
    drawn = [_draw_appearance(appearance, np.random.default_rng([*row, 1])) for row in seeds]
    draws = {name: np.stack([one[name] for one in drawn]) for name in drawn[0]}
    noise_seed = np.asarray(seeds[0][-2:], dtype=np.int32)
    varied: NDArray[np.float32] = _apply(images, draws, noise_seed).numpy()
    return varied


def _draw_appearance(
    appearance: Appearance, random: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """The numbers that make the variation of one picture, as arrays that broadcast over pixels."""
    saturation = np.exp(random.normal() * appearance.saturation)
    gains = np.exp(
        random.normal() * appearance.brightness + random.normal(size=3) * appearance.channel_gain
    )
    grey = np.repeat(LUMA[:, np.newaxis], 3, axis=1)
    colours = saturation * np.eye(3) + (1 - saturation) * grey
    numbers = {
        "colours": np.diag(gains) @ colours @ _hue_rotation(random.normal() * appearance.hue),
        "contrast": np.exp(random.normal() * appearance.contrast),
        "gamma": np.exp(random.normal() * appearance.gamma),
        "balance": 1.0 * (random.random() < appearance.shades_of_grey),
        "blur": random.random() * (random.random() < appearance.blur),
        "noise": random.uniform(0, LARGEST_NOISE) * (random.random() < appearance.noise),
        "field": 1.0 * (random.random() < appearance.round_field),
        "radius": random.uniform(*FIELD_RADII),
        "edge": random.uniform(*FIELD_EDGES),
        "vignette": random.uniform(*VIGNETTE_DEPTHS) * (random.random() < appearance.vignette),
    }
    return {
        name: np.asarray(number, dtype=np.float32).reshape(
            (3, 3) if name == "colours" else (1,) * 3
        )
        for name, number in numbers.items()
    }


def _hue_rotation(angle: float) -> NDArray[np.float64]:
    """A turn by `angle` radians about the grey axis of RGB, for rows of pixels."""
    grey = np.full((3, 3), 1 / 3)
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.asarray(cosine * np.eye(3) + (1 - cosine) * grey + sine * HUE_GENERATOR)


@tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow is untyped
def _apply(images: Any, draws: Draws, noise_seed: Any) -> Any:
    shape = tf.shape(images)
    flat = tf.reshape(images, [shape[0], -1, 3])
    gains = 1 + draws["balance"][:, :, :, 0] * (_shades_of_grey_gains(flat) - 1)
    coloured = tf.reshape(tf.matmul(flat * gains, draws["colours"]), shape)
    mean = tf.reduce_mean(coloured, [1, 2, 3], keepdims=True)
    contrasted = (coloured - mean) * draws["contrast"] + mean
    # A general power takes five times as long as a logarithm and its exponential.
    lit = tf.exp(draws["gamma"] * tf.math.log(tf.clip_by_value(contrasted, SMALLEST_INTENSITY, 1)))
    blurred = lit + draws["blur"] * (tf.nn.avg_pool2d(lit, 3, 1, "SAME") - lit)
    framed = blurred * _frame(shape[1], draws)
    return tf.clip_by_value(_add_noise(framed, draws["noise"], seed=noise_seed), 0.0, 1.0)


def _add_noise(images: Any, deviations: Any, *, seed: Any) -> Any:
    """Normal noise, drawn for those images alone whose deviation (n, 1, 1, 1) is not zero."""
    noisy = tf.where(deviations[:, 0, 0, 0] > 0)
    chosen = tf.gather_nd(deviations, noisy)
    shape = tf.concat([tf.shape(chosen)[:1], tf.shape(images)[1:]], axis=0)
    noise = chosen * tf.random.stateless_normal(shape, seed=seed)
    return tf.tensor_scatter_nd_add(images, noisy, noise)


def _shades_of_grey_gains(flat: Any) -> Any:
    """Gains (n, 1, 3) that make the illuminant grey and leave the brightness as it is."""
    # As products, since a general power takes several times as long.
    power = reduce(mul, [flat] * SHADES_OF_GREY_NORM)
    norm = tf.reduce_mean(power, axis=1, keepdims=True)
    illuminant = norm ** (1 / SHADES_OF_GREY_NORM) + SMALLEST_INTENSITY
    return tf.reduce_mean(illuminant, axis=2, keepdims=True) / illuminant


def _frame(side: Any, draws: Draws) -> Any:
    """Transmission (n, side, side, 1) of round fields of view and of vignettes."""
    line = tf.linspace(-1.0, 1.0, side)
    radius = tf.sqrt(line[:, tf.newaxis] ** 2 + line[tf.newaxis] ** 2)[tf.newaxis, ..., tf.newaxis]
    outside = tf.sigmoid((radius - draws["radius"]) * draws["edge"])
    return (1 - draws["field"] * outside) * (1 - draws["vignette"] * radius**2 / 2)
