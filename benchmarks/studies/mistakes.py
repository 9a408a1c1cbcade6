"""The classic errors between a picture and a network's input, each as one function.

Nothing here is how it should be done: see `images` and `TensorQuantization.pixel_table` for that.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.images import IMAGE_SIZE, resize_image
from edge_melanoma.tflite.quantization import TensorQuantization

Pixels = NDArray[np.uint8]
LEVELS = np.arange(256, dtype=np.float64)
POOR_JPEG_QUALITY = 50
SIZE = (IMAGE_SIZE, IMAGE_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One error: another picture (224, 224, 3) from the decoded one, or another number a level.

    `table` gives what each grey level becomes at the input tensor, none where the error cannot be
    made with such a tensor; without it the levels are converted as they should be.
    """

    what: str
    picture: Callable[[Pixels], Pixels] = resize_image
    table: Callable[[TensorQuantization], NDArray[np.generic] | None] | None = None

    def table_for(self, tensor: TensorQuantization) -> NDArray[np.generic] | None:
        """The 256 entries, or none: no such mistake here."""
        return tensor.pixel_table() if self.table is None else self.table(tensor)


def _no_division(tensor: TensorQuantization) -> NDArray[np.generic]:
    return tensor.quantize(LEVELS)


def _minus_one_to_one(tensor: TensorQuantization) -> NDArray[np.generic]:
    return tensor.quantize(LEVELS / 127.5 - 1.0)


def _whole_division(tensor: TensorQuantization) -> NDArray[np.generic]:
    """255 // 255 is 1, and every other level 0."""
    return tensor.quantize(LEVELS // 255.0)


def _signed_bytes(tensor: TensorQuantization) -> NDArray[np.generic] | None:
    """Java and Kotlin read bytes from -128 to 127; a tensor of unsigned bytes does not notice."""
    signed = LEVELS.astype(np.uint8).view(np.int8)
    if tensor.dtype == "uint8":
        return None
    if tensor.dtype == "int8":
        return signed
    return tensor.quantize(signed.astype(np.float64) / 255.0)


def _swap_channels(image: Pixels) -> Pixels:
    return resize_image(image)[..., ::-1]


def _nearest(image: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(image).resize(SIZE, Image.Resampling.NEAREST))


def _without_antialiasing(image: Pixels) -> Pixels:
    """Four neighbours whatever the scale, as a phone's `createScaledBitmap` does it."""
    height, width = image.shape[:2]
    scale = (width / IMAGE_SIZE, 0.0, 0.0, 0.0, height / IMAGE_SIZE, 0.0)
    picture = Image.fromarray(image)
    return np.asarray(
        picture.transform(SIZE, Image.Transform.AFFINE, scale, Image.Resampling.BILINEAR)
    )


def _centre_crop(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return resize_image(np.ascontiguousarray(image[top : top + side, left : left + side]))


def _lying(image: Pixels) -> Pixels:
    """As the sensor of a phone held upright has it: EXIF alone tells to turn it by 90 degrees."""
    return np.rot90(resize_image(image))


def _poor_jpeg(image: Pixels) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=POOR_JPEG_QUALITY)
    return resize_image(np.asarray(Image.open(stream)))


MISTAKES: Mapping[str, Mistake] = MappingProxyType(
    {
        "no division": Mistake(what="levels 0..255 instead of 0..1", table=_no_division),
        "[-1,1]": Mistake(what="levels from -1 to 1 instead of 0..1", table=_minus_one_to_one),
        "whole division": Mistake(
            what="levels divided as whole numbers, so that only white is not 0",
            table=_whole_division,
        ),
        "signed bytes": Mistake(
            what="levels above 127 wrapped to negative ones", table=_signed_bytes
        ),
        "BGR": Mistake(what="blue and red changed over", picture=_swap_channels),
        "nearest resize": Mistake(what="the nearest pixel, nothing between", picture=_nearest),
        "no antialiasing": Mistake(
            what="bilinear over four pixels whatever the scale", picture=_without_antialiasing
        ),
        "centre crop": Mistake(
            what="the middle square instead of the whole frame", picture=_centre_crop
        ),
        "EXIF ignored": Mistake(what="lying by 90 degrees", picture=_lying),
        "JPEG quality 50": Mistake(what="saved again at a poor quality", picture=_poor_jpeg),
    }
)
