"""Pictures as they should not be, made from nothing, each with the one fate that it has.

`python tests/hazards/bad_images.py` writes them and their table, fates.json, into
tests/fixtures/bad_images. The hashes in it are of pixels that are known here, or that Pillow alone
gives, and never of what edge-melanoma read.
"""

import hashlib
import io
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

FOLDER = Path(__file__).parents[1] / "fixtures" / "bad_images"
TABLE = "fates.json"
READ, SKIPPED, REFUSED = "read", "skipped", "refused"
WIDTH, HEIGHT = 40, 48
ORIENTATION = 0x0112

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a file: the sha256 of its upright pixels, or how its refusal begins."""

    file: str
    fate: str
    pixels_sha256: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BadFile:
    """A file and its fate."""

    data: bytes
    fate: Fate


def pattern(*, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """Whole-number arithmetic, different in every corner."""
    y, x, c = np.indices((height, width, 3))
    return np.asarray((5 * x + 3 * y + 40 * c + x * y // 8) % 256, dtype=np.uint8)


def hash_pixels(pixels: Pixels) -> str:
    """sha256 of shape and values."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def read(file: str, data: bytes, pixels: Pixels | None = None) -> BadFile:
    """A file that is read; without `pixels`, as those that Pillow alone gives."""
    if pixels is None:
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    fate = Fate(file=file, fate=READ, pixels_sha256=hash_pixels(np.ascontiguousarray(pixels)))
    return BadFile(data=data, fate=fate)


def refused(file: str, data: bytes, reason: str) -> BadFile:
    """A file that is refused with a sentence that goes on so behind the file's name."""
    return BadFile(data=data, fate=Fate(file=file, fate=REFUSED, reason=reason))


def encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """The file's bytes."""
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def all_files() -> list[BadFile]:
    """Every kind that a repository can hold."""
    picture = Image.fromarray(pattern())
    parts = (_containers, _modes, _turns, _sizes, _broken, _foreign, _several)
    return [bad for part in parts for bad in part(picture)]


def _containers(picture: Image.Image) -> Iterator[BadFile]:
    jpeg, pixels = encode(picture, "JPEG"), pattern()
    yield read("plain.jpg", jpeg)
    yield read("upper case.JPG", jpeg)
    yield read("plain.jfif", jpeg)
    yield read("plain.png", encode(picture, "PNG"), pixels)
    yield read("png named.jpg", encode(picture, "PNG"), pixels)
    yield read("jpeg named.png", jpeg)
    yield read("bmp named.jpg", encode(picture, "BMP"), pixels)
    yield read("plain.tif", encode(picture, "TIFF", compression="tiff_lzw"), pixels)
    yield read("tiff named.jpg", encode(picture, "TIFF"), pixels)
    yield read("plain.webp", encode(picture, "WEBP", lossless=True), pixels)
    yield read("still.gif", encode(picture.quantize(64), "GIF"))
    yield read("progressive.jpg", encode(picture, "JPEG", progressive=True))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield read("icc.png", encode(picture, "PNG", icc_profile=profile), pixels)
    yield read("icc broken.png", encode(picture, "PNG", icc_profile=b"no profile"), pixels)
    yield read("bytes behind the end.jpg", jpeg + bytes(range(256)) * 8)
    # The second picture of a phone's MPO is a preview or a depth map.
    rotated = Image.fromarray(np.ascontiguousarray(pixels[::-1]))
    mpo = encode(picture, "MPO", save_all=True, append_images=[rotated])
    yield read("phone with preview.jpg", mpo)


def _modes(picture: Image.Image) -> Iterator[BadFile]:
    pixels = pattern()
    yield read("cmyk.jpg", encode(picture.convert("CMYK"), "JPEG"))
    yield read("grey.jpg", encode(picture.convert("L"), "JPEG"))
    grey = pixels[..., 0]
    tripled = np.repeat(grey[..., np.newaxis], 3, axis=2)
    deep = Image.fromarray(grey.astype(np.uint16) * 256 + 7)
    yield read("grey 16 bit.png", encode(deep, "PNG"), tripled)
    yield read("grey 16 bit.tif", encode(deep, "TIFF"), tripled)
    yield read("rgb 16 bit.png", _deep_png(pixels), pixels)
    white = np.where(tripled > 127, 255, 0).astype(np.uint8)
    yield read("one bit.png", encode(Image.fromarray(white).convert("1"), "PNG"), white)
    clear = pixels.copy()
    clear[:20] = 255
    alpha = np.full(grey.shape, 255, np.uint8)
    alpha[:20] = 0
    yield read("clear.png", encode(_with_alpha(picture, alpha), "PNG"), clear)
    whitened = np.where(alpha[..., np.newaxis] == 0, 255, tripled).astype(np.uint8)
    grey_alpha = _with_alpha(Image.fromarray(grey), alpha)
    yield read("grey clear.png", encode(grey_alpha, "PNG"), whitened)
    palette = picture.quantize(16)
    colours = np.asarray(palette.convert("RGB")).copy()
    colours[np.asarray(palette) == 3] = 255
    yield read("palette clear.png", encode(palette, "PNG", transparency=3), colours)
    levels = Image.fromarray(grey.astype(np.float32) / 255)
    yield refused("float levels.tif", encode(levels, "TIFF"), "has float levels")


def _with_alpha(image: Image.Image, alpha: Pixels) -> Image.Image:
    copy = image.copy()
    copy.putalpha(Image.fromarray(alpha))
    return copy


def _turns(picture: Image.Image) -> Iterator[BadFile]:
    upright = pattern()
    around = upright[::-1, ::-1]
    along = upright.swapaxes(0, 1)
    stored = [upright, upright[:, ::-1], around, upright[::-1]]
    stored += [along, np.rot90(upright), around.swapaxes(0, 1), np.rot90(upright, -1)]
    for orientation, pixels in enumerate(stored, start=1):
        turned = Image.fromarray(np.ascontiguousarray(pixels))
        data = encode(turned, "PNG", exif=_exif(orientation))
        yield read(f"exif turn {orientation}.png", data, upright)
    half = np.zeros((16, 32, 3), np.uint8)
    half[:, :16] = 255
    # The halves end with blocks of 8x8, and JPEG keeps a block of pure black or white exactly.
    jpeg = encode(Image.fromarray(half), "JPEG", exif=_exif(6))
    yield read("exif turn 6.jpg", jpeg, half.swapaxes(0, 1)[:, ::-1])
    webp = encode(Image.fromarray(half), "WEBP", lossless=True, exif=_exif(6))
    yield read("exif turn 6.webp", webp, half.swapaxes(0, 1)[:, ::-1])
    yield read("exif turn 9.png", encode(picture, "PNG", exif=_exif(9)), upright)
    broken = b"Exif\0\0MM\0*" + b"\xff" * 40
    yield read("exif broken.png", encode(picture, "PNG", exif=broken), upright)
    plain = encode(picture, "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 65533) + b"Exif\0\0" + bytes(65525)
    yield read("exif huge.jpg", plain[:2] + segment * 4 + plain[2:])


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def _sizes(picture: Image.Image) -> Iterator[BadFile]:
    for height, width in ((1, 1), (1, 10_000), (10_000, 1)):
        pixels = pattern(height=height, width=width)
        data = encode(Image.fromarray(pixels), "PNG")
        yield read(f"{width}x{height}.png", data, pixels)
    yield refused("bomb.png", _png(12_000, 12_000, depth=1), "has 12000x12000 pixels")
    yield refused("bomb of bombs.png", _png(60_000, 60_000, depth=1, rows=9), "has far more than")
    lying = bytearray(encode(picture, "JPEG"))
    start = lying.find(b"\xff\xc0") + 5
    lying[start : start + 4] = struct.pack(">HH", 65_500, 65_500)
    yield refused("header of 65500x65500.jpg", bytes(lying), "has far more than")
    yield refused("no width.png", _png(0, 48, depth=8), "is ")
    progressive = encode(picture, "JPEG", progressive=True)
    scan = progressive[progressive.rfind(b"\xff\xda") : -2]
    endless = progressive[:-2] + scan * 120 + progressive[-2:]
    yield refused("scans without end.jpg", endless, "is a JPEG of more than 100 scans")


def _broken(picture: Image.Image) -> Iterator[BadFile]:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    jpeg = encode(Image.fromarray(noise), "JPEG")
    png = encode(Image.fromarray(noise), "PNG")
    yield refused("empty.jpg", b"", "is empty")
    for percent in (10, 50, 95):
        cut = jpeg[: len(jpeg) * percent // 100]
        yield refused(f"first {percent} percent.jpg", cut, "is ")
        cut = png[: len(png) * percent // 100]
        yield refused(f"first {percent} percent.png", cut, "is truncated or broken")
    rotten = bytearray(png)
    rotten[len(png) // 2] ^= 1
    yield refused("one bit of rot.png", bytes(rotten), "is truncated or broken")
    yield refused("random bytes.jpg", noise.tobytes(), "is not a picture")
    yield refused("bytes before.jpg", bytes(16) + jpeg, "is not a picture")


def _foreign(picture: Image.Image) -> Iterator[BadFile]:
    texts = {
        "text.jpg": b"This is no picture.\n" * 20,
        "page.jpg": b"<!DOCTYPE html><html><title>Sign in</title></html>",
        "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "document.jpg": b"%PDF-1.7\n%%EOF\n",
        "archive.jpg": b"PK\x05\x06" + bytes(18),
        # Pillow would hand it to Ghostscript, a program that runs what is in it.
        "program.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    }
    for file, data in texts.items():
        yield refused(file, data, "is not a picture")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    yield refused("lfs pointer.jpg", pointer, "is a Git LFS pointer")
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500)
    avif = b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(500)
    yield refused("phone.heic", heic, "is a HEIC picture")
    yield refused("heic named.jpg", heic, "is a HEIC picture")
    yield refused("phone.avif", avif, "is an AVIF picture")
    yield refused("avif named.jpg", avif, "is an AVIF picture")
    yield refused("icon.jpg", encode(picture, "ICO", sizes=[(16, 16)]), "is not a picture")


def _several(picture: Image.Image) -> Iterator[BadFile]:
    other = picture.rotate(180)
    for file, file_format in (
        ("moving.gif", "GIF"),
        ("moving.webp", "WEBP"),
        ("moving.png", "PNG"),
        ("pages.tif", "TIFF"),
    ):
        data = encode(picture, file_format, save_all=True, append_images=[other])
        yield refused(file, data, "holds several pictures")


def _png(width: int, height: int, *, depth: int, rows: int | None = None) -> bytes:
    """Black, with as many rows as it says or with fewer; a few bytes for every million pixels."""
    row = bytes(1 + (width * depth + 7) // 8)
    packed = zlib.compress(row * (height if rows is None else rows), 9)
    return _png_of(width, height, depth, 0, packed)


def _deep_png(pixels: Pixels) -> bytes:
    """RGB of 16 bits a colour, which Pillow reads and does not write."""
    rows = [b"\0" + (row.astype(">u2") * 256 + 9).astype(">u2").tobytes() for row in pixels]
    height, width = pixels.shape[:2]
    return _png_of(width, height, 16, 2, zlib.compress(b"".join(rows)))


def _png_of(width: int, height: int, depth: int, colour: int, packed: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def main() -> None:
    """Write the files and their table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    files = all_files()
    for bad in files:
        (FOLDER / bad.fate.file).write_bytes(bad.data)
    rows = [asdict(bad.fate) for bad in sorted(files, key=lambda bad: bad.fate.file)]
    (FOLDER / TABLE).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
