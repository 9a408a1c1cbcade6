"""Which pictures an epoch shows: all of one data set, or shares of several."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.lesions import LesionRecord


def draw_epoch(
    records: Sequence[LesionRecord], *, source_share: float | None, random: np.random.Generator
) -> NDArray[np.int64]:
    """Positions in `records`, in the order of the epoch.

    Without `source_share`, or of one data set, every picture once. With it every picture of the
    largest data set once and, from each other one, that share of as many: half of them benign, half
    malignant, each drawn again only after all of its class have been.
    """
    sizes = Counter(record.source for record in records)
    if source_share is None or len(sizes) < 2:
        return random.permutation(len(records))
    (largest, size), *others = sizes.most_common()
    parts = [_positions(records, largest)]
    for source, _ in others:
        for is_malignant in (False, True):
            members = _positions(records, source, is_malignant=is_malignant)
            parts.append(_draw(members, round(size * source_share / 2), random))
    return random.permutation(np.concatenate(parts))


def _positions(
    records: Sequence[LesionRecord], source: str | None, *, is_malignant: bool | None = None
) -> NDArray[np.int64]:
    return np.array(
        [
            position
            for position, record in enumerate(records)
            if record.source == source and is_malignant in {None, record.is_malignant}
        ],
        dtype=np.int64,
    )


def _draw(members: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    if not len(members):
        return members
    rounds = [random.permutation(members) for _ in range(-(-count // len(members)))]
    return np.concatenate(rounds)[:count] if rounds else members[:0]
