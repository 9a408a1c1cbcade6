"""Random flips, turns, zooms and shifts: one affine map an image, from seed, epoch and image.

One interpolation instead of four keeps fine structure, and drawing without a running state
lets an interrupted training go on with the very same pictures.
"""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.tensorflow import tf
from edge_melanoma.network.recipes import Augmentation

LARGEST_UNFILTERED_SHRINKAGE = 4 / 3
"""Pictures that lose more than this are averaged over two by two pixels before."""

FILTER_STREAM = 1
"""Ends the seed of the filters, so that they and the places are drawn apart."""


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
    maps = np.stack(
        [
            _draw_map(augmentation, row, height=height, width=width, shrinkage=shrinkage)
            for row in seeds
        ]
    )
    filters = np.array([_draw_filter(augmentation, row, shrinkage=shrinkage) for row in seeds])
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


def _draw_filter(
    augmentation: Augmentation, seed: NDArray[np.int64], *, shrinkage: float
) -> Filter:
    usual = Filter.BILINEAR if shrinkage <= LARGEST_UNFILTERED_SHRINKAGE else Filter.AVERAGED
    random = np.random.default_rng([*seed, FILTER_STREAM])
    if random.random() >= augmentation.other_filters:
        return usual
    others = [resampling for resampling in Filter if resampling is not usual]
    return others[random.integers(len(others))]


def _draw_map(
    augmentation: Augmentation,
    seed: NDArray[np.int64],
    *,
    height: int,
    width: int,
    shrinkage: float,
) -> NDArray[np.float32]:
    """The eight numbers that take a place in the varied picture to one in the original."""
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
