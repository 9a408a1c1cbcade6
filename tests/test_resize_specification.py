"""The resize against its specification in words (see `images`), computed here from scratch."""

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import resize_image

Pixels = NDArray[np.uint8]

SIDE, ONE = 224, 2**22
PRIMES = (2, 3, 7, 13, 31, 61, 97, 127, 211, 223, 227, 331, 449, 601)


def specified_weights(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each of 224 output pixels: the first pixel it takes, and its whole weights, 0 beyond."""
    step = size / SIDE
    radius = max(step, 1.0)
    firsts, rows = [], []
    for output in range(SIDE):
        centre = (output + 0.5) * step
        first = max(0, int(np.floor(centre - radius + 0.5)))
        last = min(size, int(np.floor(centre + radius + 0.5)))
        shares = [max(0.0, 1 - abs((i - centre + 0.5) * (1 / radius))) for i in range(first, last)]
        total = 0.0
        for share in shares:
            total += share
        firsts.append(first)
        rows.append([int(share / total * ONE + 0.5) for share in shares])
    width = max(map(len, rows))
    weights = np.array([row + [0] * (width - len(row)) for row in rows], dtype=np.int64)
    return np.array(firsts), weights


def specified_pass(lines: Pixels) -> Pixels:
    """(n, size, 3) to (n, 224, 3)."""
    size = lines.shape[1]
    if size == SIDE:
        return lines
    firsts, weights = specified_weights(size)
    sums = np.full((lines.shape[0], SIDE, 3), ONE // 2, dtype=np.int64)
    for place in range(weights.shape[1]):
        taken = lines[:, np.minimum(firsts + place, size - 1)]
        sums += taken * weights[:, place, None]
    return (sums >> 22).clip(0, 255).astype(np.uint8)


def specified_resize(pixels: Pixels) -> Pixels:
    rows = specified_pass(pixels)
    return specified_pass(rows.swapaxes(0, 1)).swapaxes(0, 1)


def odd_sizes() -> list[tuple[int, int]]:
    """200 of them: (height, width)."""
    fixed = [(1, 1), (1, 1000), (1000, 1), (1, 224), (224, 1), (224, 224), (3000, 4000)]
    fixed += [(height, width) for height in PRIMES for width in PRIMES][: 200 - len(fixed)]
    return fixed


def draw(height: int, width: int, *, seed: int) -> Pixels:
    """Noise, or black and white stripes of one pixel, whose sums are the extremes."""
    random = np.random.default_rng(seed)
    if seed % 4 == 0:
        stripes = random.integers(0, 2, (1, width, 3)) ^ random.integers(0, 2, (height, 1, 3))
        return np.asarray(stripes * 255, dtype=np.uint8)
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_resize_is_the_specified_one_on_200_pictures_of_odd_sizes() -> None:
    sizes = odd_sizes()
    assert len(set(sizes)) == 200
    for seed, (height, width) in enumerate(sizes):
        pixels = draw(height, width, seed=seed)
        np.testing.assert_array_equal(
            resize_image(pixels), specified_resize(pixels), err_msg=f"{height}x{width}"
        )


def test_the_order_of_the_passes_is_part_of_the_specification() -> None:
    pixels = draw(601, 127, seed=1)
    columns_first = specified_pass(specified_pass(pixels.swapaxes(0, 1)).swapaxes(0, 1))
    assert not np.array_equal(resize_image(pixels), columns_first)
