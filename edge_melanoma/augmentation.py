"""Random flips, turns, zooms and shifts: one affine map an image, drawn from seed, epoch and image.

One interpolation instead of four keeps fine structure, and drawing without a running state
lets an interrupted training go on with the very same pictures.
"""

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.tensorflow_runtime import tf
from edge_melanoma.variants import Augmentation

LARGEST_UNFILTERED_SHRINKAGE = 4 / 3
"""Pictures that lose more than this are averaged over two by two pixels before."""


def augment_images(
    pixels: NDArray[np.uint8],
    augmentation: Augmentation,
    *,
    seeds: NDArray[np.int64],
    size: int | None = None,
) -> NDArray[np.uint8]:
    """Varied pictures (n, height, width, 3), or (n, size, size, 3) of square ones.

    `seeds` (n, k) holds one row of integers an image. What lies outside the picture is filled by
    reflection, bilinear in between. The appearance is not this function's business.
    """
    height, width = pixels.shape[1:3]
    shrinkage = 1.0 if size is None else height / size
    maps = np.stack(
        [
            _draw_map(augmentation, row, height=height, width=width, shrinkage=shrinkage)
            for row in seeds
        ]
    )
    varied = tf.raw_ops.ImageProjectiveTransformV3(
        images=_filtered(pixels, shrinkage),
        transforms=tf.constant(maps),
        output_shape=tf.constant([height, width] if size is None else [size, size]),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    values = varied.numpy()
    whole: NDArray[np.uint8] = (
        values if values.dtype == np.uint8 else np.rint(values).astype(np.uint8)
    )
    return whole


def _filtered(pixels: NDArray[np.uint8], shrinkage: float) -> tf.Tensor:
    if shrinkage <= LARGEST_UNFILTERED_SHRINKAGE:
        return tf.constant(pixels)
    return tf.nn.avg_pool2d(tf.constant(pixels.astype(np.float32)), 2, 1, "SAME")


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
