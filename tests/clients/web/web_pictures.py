"""What the page is given: pictures, odd pictures as raw bytes, and files that are no picture."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.images import resize_image
from edge_melanoma.data.phantoms import OTHER_SIZES, draw_phantom

ODD_SIZES = ((1, 1), (1, 1000), (1000, 1), (223, 227), (224, 224), (997, 1009), (4000, 3000))
ODD_PICTURES = 200
PHANTOMS = 44
"""With the 16 golden pictures 60."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OddPicture:
    """A picture for the resize alone."""

    pixels: NDArray[np.uint8]

    @property
    def resized_sha256(self) -> str:
        """Of the bytes that Python makes of it."""
        return hashlib.sha256(resize_image(self.pixels).tobytes()).hexdigest()

    def write(self, path: Path) -> dict[str, object]:
        """Its bytes into a file; returns what the browser has to know."""
        path.write_bytes(self.pixels.tobytes())
        height, width = self.pixels.shape[:2]
        return {"file": str(path), "width": width, "height": height}


def odd_pictures() -> Iterator[OddPicture]:
    """Noise of 200 sizes, the extreme ones first."""
    random = np.random.default_rng(20)
    drawn = (tuple(random.integers(1, 700, 2)) for _ in range(ODD_PICTURES - len(ODD_SIZES)))
    for width, height in (*ODD_SIZES, *drawn):
        yield OddPicture(pixels=random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def write_phantoms(folder: Path) -> list[Path]:
    """Pictures of lesions as PNG and JPEG files of several sizes."""
    paths = []
    for number in range(PHANTOMS):
        width, height = OTHER_SIZES[number % len(OTHER_SIZES)]
        picture = draw_phantom(
            is_malignant=number % 2 == 1, seed=1000 + number, width=width, height=height
        )
        path = folder / f"phantom_{number:02d}.{'png' if number % 3 else 'jpg'}"
        Image.fromarray(picture).save(path, quality=95)
        paths.append(path)
    return paths


def write_spoilt(folder: Path) -> dict[Path, str]:
    """Files that are no picture, and what the page must say of each."""
    texts = {"empty.jpg": b"", "notes.jpg": b"not a picture", "model.tflite": b"TFL3" * 40}
    says = {
        "empty.jpg": "empty.jpg is empty; choose another photo.",
        "notes.jpg": "notes.jpg is not a picture that this browser can read; "
        "choose a JPEG or PNG photo.",
        "model.tflite": "model.tflite is not a picture that this browser can read; "
        "choose a JPEG or PNG photo.",
    }
    for name, content in texts.items():
        (folder / name).write_bytes(content)
    return {folder / name: sentence for name, sentence in says.items()}


def write_mutant(page: Path) -> str:
    """A copy of the page's resize that rounds down where it should round; its name."""
    source = (page / "resize.js").read_text(encoding="utf-8")
    line = "const HALF = 1 << (BITS - 1);"
    if source.count(line) != 1:
        raise ValueError("resize.js has no such line to change")
    (page / "resize-mutant.js").write_text(source.replace(line, "const HALF = 0;"))
    return "resize-mutant.js"


def golden_pictures(bundle: Path) -> Sequence[Path]:
    """Those of a bundle, in order."""
    folder = bundle / "app/src/androidTest/assets/golden"
    return sorted(path for path in folder.iterdir() if path.suffix in {".png", ".jpg"})
