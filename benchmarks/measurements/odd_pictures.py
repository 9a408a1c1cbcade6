"""Pictures that are no dermoscopic pictures of a lesion, drawn or cut, to try a gate with.

    python benchmarks/measurements/odd_pictures.py DIR [--skin SET_FOLDER]

Samples that come with scikit-image, scikit-learn and matplotlib, whole and cut; pages, charts,
patterns, noise, plain colours and gradients that are drawn here; and with `--skin` bare skin, cut
out of the corners of benign dermoscopic pictures. The same seed draws the same pictures.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from edge_melanoma.data.images import UnreadableImageError, read_image

Pixels = NDArray[np.uint8]

SIDE = 320
COUNTS = {"page": 70, "chart": 40, "pattern": 80, "noise": 40, "plain": 50, "skin": 120}
CUTS_OF_A_SAMPLE = 8
NOT_PHOTOGRAPHED = frozenset({"multipage.tif", "multipage_rgb.tif", "no_time_for_that_tiny.gif"})
FLATTEST, CORNER = 9.0, 0.3
"""Bare skin: the largest standard deviation of grey in a corner, and its share of a side."""

WORDS = ["the", "of", "a", "to", "in", "and", "is", "that", "for", "it", "was", "on", "be", "which"]


def main() -> None:
    """Write all pictures as PNG files into a folder, named by their kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--skin", type=Path, help="a folder of benign dermoscopic pictures")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in draw_all(seed=options.seed, skin=options.skin):
        Image.fromarray(pixels).save(options.folder / f"{name}.png")


def draw_all(*, seed: int, skin: Path | None) -> Iterator[tuple[str, Pixels]]:
    """Each picture with its name, which begins with its kind: `page-007`."""
    for kind, draw in DRAWN.items():
        for number in range(COUNTS[kind]):
            rng = np.random.default_rng([seed, number, *kind.encode()])
            yield f"{kind}-{number:03}", draw(rng)
    yield from cut_samples(np.random.default_rng([seed, 1]))
    if skin is not None:
        yield from cut_skin(skin, np.random.default_rng([seed, 2]))


def cut_samples(rng: Generator) -> Iterator[tuple[str, Pixels]]:
    """The sample pictures of scientific libraries, whole, and parts of them."""
    for path in sorted(_samples()):
        try:
            whole = read_image(path, size=SIDE * 2)
        except UnreadableImageError:
            continue
        yield f"photo-{path.stem}-whole", np.asarray(Image.fromarray(whole).resize((SIDE, SIDE)))
        for number in range(CUTS_OF_A_SAMPLE):
            side = int(rng.integers(SIDE // 2, 2 * SIDE * 9 // 10))
            top, left = rng.integers(0, 2 * SIDE - side, 2)
            part = Image.fromarray(whole[top : top + side, left : left + side])
            yield f"photo-{path.stem}-{number}", np.asarray(part.resize((SIDE, SIDE)))


def _samples() -> Iterator[Path]:
    import matplotlib
    import skimage
    import sklearn

    places = (
        (Path(skimage.__file__).parent / "data", "*"),
        (Path(sklearn.__file__).parent / "datasets" / "images", "*"),
        (Path(matplotlib.get_data_path()) / "sample_data", "*.jpg"),
    )
    for folder, pattern in places:
        for path in folder.glob(pattern):
            is_picture = path.suffix in {".png", ".jpg", ".tif", ".gif"}
            if is_picture and path.name not in NOT_PHOTOGRAPHED:
                yield path


def cut_skin(folder: Path, rng: Generator) -> Iterator[tuple[str, Pixels]]:
    """Flat corners as light as the rest of the picture's skin."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".jpg", ".png"})
    found = 0
    for place in rng.permutation(len(paths)):
        pixels, side = read_image(paths[place], size=SIDE), int(CORNER * SIDE)
        skin = np.percentile(pixels.mean(axis=2), 50)
        for top, left in np.ndindex(2, 2):
            rows, columns = (
                slice(at * (SIDE - side), at * (SIDE - side) + side) for at in (top, left)
            )
            corner = pixels[rows, columns]
            grey = corner.mean(axis=2)
            if grey.std() <= FLATTEST and grey.mean() >= skin:
                yield f"skin-{found:03}", np.asarray(Image.fromarray(corner).resize((SIDE, SIDE)))
                found += 1
                break
        if found == COUNTS["skin"]:
            return


def draw_page(rng: Generator) -> Pixels:
    """A page of text, at some size, turn and shade of paper."""
    paper = tuple(int(x) for x in rng.integers(215, 256, 3))
    image = Image.new("RGB", (SIDE * 2, SIDE * 2), paper)
    draw, size = ImageDraw.Draw(image), int(rng.integers(14, 48))
    font, y = ImageFont.load_default(size), 20
    ink = tuple(int(x) for x in rng.integers(0, 90, 3))
    while y < 2 * SIDE - size:
        line = " ".join(rng.choice(WORDS, int(rng.integers(4, 60 * 8 // size))))
        draw.text((30, y), line, fill=ink, font=font)
        y += int(size * 1.4) if rng.random() < 0.9 else size * 3
    turned = image.rotate(rng.normal(0, 4), fillcolor=paper)
    return np.asarray(turned.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def draw_chart(rng: Generator) -> Pixels:
    """Bars or lines on a plain ground, or the boxes and lines of a screen."""
    ground = 255 if rng.random() < 0.6 else int(rng.integers(10, 60))
    image = Image.new("RGB", (SIDE, SIDE), (ground,) * 3)
    draw, kind = ImageDraw.Draw(image), int(rng.integers(3))
    for number in range(int(rng.integers(5, 12))):
        colour = tuple(int(x) for x in rng.integers(0, 256, 3))
        if kind == 0:
            left, top = 20 + number * 26, int(rng.integers(20, SIDE - 40))
            draw.rectangle((left, top, left + 18, SIDE - 20), fill=colour)
        elif kind == 1:
            points = [
                (x, int(y))
                for x, y in zip(
                    range(10, SIDE, 20), SIDE / 2 + np.cumsum(rng.normal(0, 18, 16)), strict=True
                )
            ]
            draw.line(points, fill=colour, width=int(rng.integers(1, 6)))
        else:
            left, top, wide, high = (int(x) for x in rng.integers(10, SIDE // 2, 4))
            draw.rectangle((left, top, left + wide, top + high), fill=colour, outline=(90,) * 3)
            draw.text((left + 6, top + 6), str(rng.choice(WORDS)), fill=(255 - ground,) * 3)
    return np.asarray(image)


def draw_pattern(rng: Generator) -> Pixels:
    """Gratings, checks, rings, bricks, or clouds of noise, in two colours or more."""
    rows, columns = np.indices((SIDE, SIDE)).astype(float)
    period, turn = rng.uniform(6, 80), rng.uniform(0, np.pi)
    along = rows * np.sin(turn) + columns * np.cos(turn)
    across = columns * np.sin(turn) - rows * np.cos(turn)
    match int(rng.integers(5)):
        case 0:
            wave = np.sin(2 * np.pi * along / period)
        case 1:
            wave = np.sign(np.sin(2 * np.pi * along / period) * np.sin(2 * np.pi * across / period))
        case 2:
            centre = rng.uniform(0, SIDE, 2)
            wave = np.sin(2 * np.pi * np.hypot(rows - centre[0], columns - centre[1]) / period)
        case 3:
            shifted = columns + period * (rows // period % 2)
            is_joint = (rows % period < 4) | (shifted % (2 * period) < 4)
            wave = np.where(is_joint, 1.0, rng.normal(-0.6, 0.3, (SIDE, SIDE)))
        case _:
            wave = _clouds(rng)
    return _coloured(wave, rng)


def _clouds(rng: Generator) -> NDArray[np.float64]:
    """Noise of several sizes on top of each other, in -1..1."""
    total = np.zeros((SIDE, SIDE))
    for cells in (4, 8, 16, 32, 64):
        coarse = Image.fromarray(rng.normal(0, 1, (cells, cells)).astype(np.float32))
        total += np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / cells**0.5
    return np.asarray(total / np.abs(total).max())


def _coloured(wave: NDArray[np.float64], rng: Generator) -> Pixels:
    ends = rng.uniform(0, 255, (2, 3))
    share = (wave.clip(-1, 1) + 1)[..., None] / 2
    return np.asarray((ends[0] * (1 - share) + ends[1] * share).round(), np.uint8)


def draw_noise(rng: Generator) -> Pixels:
    """Even, normal or sparse noise, in grey or colour, sharp or somewhat blurred."""
    shape = (SIDE, SIDE, 3 if rng.random() < 0.5 else 1)
    match int(rng.integers(3)):
        case 0:
            values = rng.uniform(0, 255, shape)
        case 1:
            values = rng.normal(rng.uniform(60, 200), rng.uniform(15, 70), shape)
        case _:
            values = np.where(rng.random(shape) < 0.08, 255.0, rng.uniform(0, 180))
    pixels = np.broadcast_to(values, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    blur = ImageFilter.GaussianBlur(float(rng.choice([0, 0, 1, 3])))
    return np.asarray(Image.fromarray(pixels).filter(blur))


def draw_plain(rng: Generator) -> Pixels:
    """One colour, or a soft change between two; black and white among them."""
    ends = rng.uniform(0, 255, (2, 3))
    match int(rng.integers(4)):
        case 0:
            ends[:] = rng.choice([0.0, 255.0, 128.0])
        case 1 | 2:
            ends[1] = ends[0]
    share = np.linspace(0, 1, SIDE)[:, None, None] * np.ones((1, SIDE, 1))
    if rng.random() < 0.5:
        share = share.transpose(1, 0, 2)
    return np.asarray((ends[0] * (1 - share) + ends[1] * share).round(), np.uint8)


DRAWN: dict[str, Callable[[Generator], Pixels]] = {
    "page": draw_page,
    "chart": draw_chart,
    "pattern": draw_pattern,
    "noise": draw_noise,
    "plain": draw_plain,
}


if __name__ == "__main__":
    main()
