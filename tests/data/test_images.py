"""The one way from a file to pixels: decoding, turning and resizing, pinned to the last bit."""

import hashlib
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.images import (
    UnreadableImageError,
    decode_image,
    read_image,
    read_image_bytes,
    resize_image,
    scale_pixels,
    stream_images,
)
from edge_melanoma.machine.files import sha256_of

Pixels = NDArray[np.uint8]


def encode(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def pattern(*, height: int, width: int) -> Pixels:
    """Whole-number arithmetic, the same on every machine."""
    y, x, c = np.indices((height, width, 3))
    return np.asarray((7 * x + 13 * y + 50 * c + x * y) % 256, dtype=np.uint8)


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def triangle_weights(size: int) -> NDArray[np.float64]:
    """What each of `size` pixels gives to each of 224: a triangle as wide as the step."""
    step = size / 224
    distances = np.arange(size) + 0.5 - (np.arange(224)[:, None] + 0.5) * step
    weights = np.maximum(0.0, 1 - np.abs(distances) / max(step, 1.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def png_header(*, width: int, height: int) -> bytes:
    """A PNG that says it has this size, and holds no pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    checksums = [struct.pack(">I", zlib.crc32(chunk)) for chunk in (head, b"IDAT")]
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d%b%b\0\0\0\0IDAT%b" % (head, *checksums)


def test_a_picture_of_the_networks_size_is_left_as_it_is() -> None:
    pixels = pattern(height=224, width=224)
    np.testing.assert_array_equal(resize_image(pixels), pixels)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 300), (300, 1), (7, 13), (223, 227), (449, 101)]
)
def test_a_picture_of_one_colour_keeps_it_in_every_size(height: int, width: int) -> None:
    colour = np.array([0, 129, 255], dtype=np.uint8)
    resized = resize_image(np.tile(colour, (height, width, 1)))
    np.testing.assert_array_equal(resized, np.tile(colour, (224, 224, 1)))


@pytest.mark.parametrize(("height", "width"), [(1, 300), (97, 61), (331, 127), (240, 600)])
def test_resizing_is_a_triangle_filter_over_the_whole_frame(height: int, width: int) -> None:
    pixels = pattern(height=height, width=width)
    rows = np.einsum("ow,hwc->hoc", triangle_weights(width), pixels)
    expected = np.einsum("oh,hwc->owc", triangle_weights(height), rows)
    # Two passes, each off by 0.5 and by 22-bit rounding of at most six weights of up to 255.
    atol = 2 * (0.5 + 6 * 255 * 2**-23)
    np.testing.assert_allclose(resize_image(pixels), expected, rtol=0, atol=atol)


def test_the_resized_pixels_of_a_tall_picture_are_the_same_everywhere() -> None:
    resized = resize_image(pattern(height=331, width=127))
    assert hashlib.sha256(resized.tobytes()).hexdigest() == (
        "d39cbfc0b924c23f72020d8802f8ff7b440871c8c9f744c88c26e7af7b56f37e"
    )


def test_scaled_pixels_go_from_0_to_1_in_float32() -> None:
    scaled = scale_pixels(np.arange(256, dtype=np.uint8))
    assert (str(scaled.dtype), scaled[0], scaled[255]) == ("float32", 0.0, 1.0)
    np.testing.assert_array_equal(scaled, (np.arange(256) / 255).astype(np.float32))


UPRIGHT = pattern(height=2, width=3)


ALONG, AROUND = UPRIGHT.swapaxes(0, 1), UPRIGHT[::-1, ::-1]
STORED = [UPRIGHT, UPRIGHT[:, ::-1], AROUND, UPRIGHT[::-1]]
STORED += [ALONG, np.rot90(UPRIGHT), AROUND.swapaxes(0, 1), np.rot90(UPRIGHT, -1)]


@pytest.mark.parametrize(("orientation", "stored"), [*enumerate(STORED, start=1)])
def test_every_exif_turn_is_undone(orientation: int, stored: Pixels) -> None:
    data = encode(Image.fromarray(np.ascontiguousarray(stored)), exif=oriented(orientation))
    np.testing.assert_array_equal(decode_image(data, name="turned"), UPRIGHT)


def test_a_jpeg_of_a_camera_on_its_side_is_turned_upright() -> None:
    half_white = np.zeros((16, 32, 3), dtype=np.uint8)
    half_white[:, :16] = 255
    data = encode(Image.fromarray(half_white), "JPEG", exif=oriented(6))
    # The halves end with blocks of 8x8, and JPEG keeps a block of pure black or white exactly.
    np.testing.assert_array_equal(decode_image(data, name="turned"), half_white.swapaxes(0, 1))


@pytest.mark.parametrize(
    ("mode", "colour", "file_format", "expected"),
    [
        ("L", 77, "PNG", [77, 77, 77]),
        ("1", 1, "PNG", [255, 255, 255]),
        ("RGBA", (1, 2, 3, 255), "PNG", [1, 2, 3]),
        ("RGBA", (1, 2, 3, 0), "PNG", [255, 255, 255]),
        # 200 * 128/255 + 255 * 127/255 = 227.4, and 100 gives 177.2, and 0 gives 127.
        ("RGBA", (200, 100, 0, 128), "PNG", [227, 177, 127]),
        ("LA", (50, 0), "PNG", [255, 255, 255]),
        ("I;16", 0x12FF, "PNG", [0x12, 0x12, 0x12]),
        ("I;16", 0xFFFF, "TIFF", [255, 255, 255]),
        ("CMYK", (0, 0, 0, 255), "JPEG", [0, 0, 0]),
    ],
)
def test_grey_clear_deep_and_printed_pictures_become_rgb_on_white(
    mode: str, colour: Any, file_format: str, expected: list[int]
) -> None:
    data = encode(Image.new(mode, (1, 1), colour), file_format)
    np.testing.assert_array_equal(decode_image(data, name="one pixel"), [[expected]])


def test_a_palette_gives_its_colours_and_white_where_it_is_clear() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([1, 2, 3, 9, 8, 7])
    picture.putpixel((1, 0), 1)
    opaque, clear = encode(picture), encode(picture, transparency=0)
    assert decode_image(opaque, name="opaque").tolist() == [[[1, 2, 3], [9, 8, 7]]]
    assert decode_image(clear, name="clear").tolist() == [[[255, 255, 255], [9, 8, 7]]]


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_file_is_read_as_its_decoded_pixels_resized(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pattern(height=61, width=97)).save(path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(path), resize_image(np.asarray(image)))
    assert sha256_of(read_image_bytes(path)) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_pictures_are_streamed_in_order_in_batches_and_a_rest(tmp_path: Path) -> None:
    paths = [tmp_path / f"{grey}.png" for grey in (9, 3, 7, 1, 5, 8, 2)]
    for path in paths:
        Image.new("L", (2, 2), int(path.stem)).save(path)
    batches = list(stream_images(paths, batch_size=3))
    assert [batch.shape for batch in batches] == [(n, 224, 224, 3) for n in (3, 3, 1)]
    assert np.concatenate(batches)[:, 0, 0, 0].tolist() == [9, 3, 7, 1, 5, 8, 2]


def refusal_of(path: Path) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        read_image(path)
    return str(caught.value)


def test_a_folder_or_a_pipe_or_nothing_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path, tmp_path / "pipe.png", tmp_path / "missing.png"):
        assert refusal_of(path) == f"The image {path} is missing or is not a regular file."


def test_an_empty_or_truncated_file_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.touch()
    assert refusal_of(path) == f"The image {path} is empty."
    path.write_bytes(encode(Image.fromarray(pattern(height=64, width=64)))[:-200])
    assert refusal_of(path) == (
        f"The image {path} is truncated or broken: image file is truncated."
    )


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    header = png_header(width=12_000, height=10_000)
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(header, name="huge.png")
    assert str(caught.value) == (
        "The image huge.png has 12000x10000 pixels; at most 50000000 pixels are read."
    )


def test_a_text_named_as_a_picture_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("no pixels here")
    with pytest.raises(UnreadableImageError) as caught:
        read_image(path)
    assert str(caught.value) == f"The image {path} is not a picture."


def test_a_name_that_is_too_long_for_the_file_system_is_named(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300 + ".png")
    with pytest.raises(UnreadableImageError) as caught:
        read_image(path)
    assert str(caught.value) == f"The image {path} cannot be read: File name too long."


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/\xff.png"))
    with pytest.raises(UnreadableImageError) as caught:
        read_image(path)
    assert str(caught.value) == f"The image {os.fsencode(path)!r} has a name that is not UTF-8."


def test_transparency_has_a_lower_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_melanoma.data.images.LARGEST_COSTLY_PIXEL_COUNT", 99)
    for mode in ("RGB", "RGBA"):
        Image.new(mode, (10, 10)).save(tmp_path / f"{mode}.png")
    assert read_image(tmp_path / "RGB.png").shape == (224, 224, 3)
    with pytest.raises(UnreadableImageError, match="at most 99 pixels of a PNG with transparency"):
        read_image(tmp_path / "RGBA.png")
