"""What an epoch shows: which pictures, how often each, in which order, and with which diagnosis."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.clinics import count_sources, source_of
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.network.recipes import NAMED_DIAGNOSES, Sampling

MOST_OFTEN = 6.0
"""Times as often as its class is shown on average, at most, is any picture of it."""


def draw_epoch(
    records: Sequence[LesionRecord], *, sampling: Sampling | None, random: np.random.Generator
) -> NDArray[np.int64]:
    """Positions in `records`, in the order of the epoch: every picture once, or as `sampling` says.

    A picture is shown again only after all of its source and diagnosis have been. Where no source
    has both classes, all of them count as one.
    """
    if sampling is None:
        return random.permutation(len(records))
    parts = []
    for members, share in cells_of(records, sampling):
        wanted = max(1, round(share * sampling.views))
        rounds = [random.permutation(members) for _ in range(-(-wanted // len(members)))]
        parts.append(np.concatenate(rounds)[:wanted])
    return random.permutation(np.concatenate(parts))


def cells_of(
    records: Sequence[LesionRecord], sampling: Sampling
) -> list[tuple[NDArray[np.int64], float]]:
    """The pictures of each source and diagnosis, and their share of an epoch.

    Shares add up to 1.
    """
    weights = dict(sampling.diagnoses)
    rarer = {name: min(counts) for name, counts in count_sources(records).items()}
    several = any(rarer.values())
    roots = {name: count**0.5 for name, count in rarer.items() if count} if several else {"": 1.0}
    classes: dict[tuple[str, bool], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for position, record in enumerate(records):
        source, told = source_of(record) if several else "", dict(record.attributes)
        named = told.get("diagnosis", "")
        cell = classes[source, record.is_malignant]
        cell[named if named in weights else ""].append(position)
    return [
        (
            np.array(members[name]),
            roots[source] / sum(roots.values()) * sampling.share_of(is_malignant) * share,
        )
        for (source, is_malignant), members in classes.items()
        if source in roots
        for name, share in _shares_within(members, weights).items()
    ]


def _shares_within(
    members: Mapping[str, Sequence[int]], weights: Mapping[str, float]
) -> dict[str, float]:
    """Of one class of one source, by diagnosis; those without one keep the share that they have.

    No picture is shown more than `MOST_OFTEN` times as often as the class is on average: what would
    be, leaves its rest to the other diagnoses.
    """
    total = sum(map(len, members.values()))
    natural = {name: len(some) / total for name, some in members.items()}
    most = {name: MOST_OFTEN * share for name, share in natural.items() if name}
    found: dict[str, float] = {name: share for name, share in natural.items() if not name}
    while len(found) < len(natural):
        left = 1 - sum(found.values())
        free = [name for name in most if name not in found]
        whole = sum(weights[name] for name in free)
        wanted = {name: left * weights[name] / whole for name in free}
        rare = {name: most[name] for name in free if wanted[name] > most[name]}
        found |= rare or wanted
    return {name: found[name] for name in natural}


def name_diagnoses(records: Sequence[LesionRecord]) -> NDArray[np.float32]:
    """Places in `NAMED_DIAGNOSES`, shape (n,); -1 where not known of both classes of the source.

    Else a diagnosis that is told of one class alone would be learned by what the source looks like.
    """
    named = [dict(record.attributes).get("diagnosis") for record in records]
    told: dict[str, set[bool]] = defaultdict(set)
    for record, name in zip(records, named, strict=True):
        if name:
            told[source_of(record)].add(record.is_malignant)
    codes = {name: code for code, name in enumerate(NAMED_DIAGNOSES)}
    return np.array(
        [
            codes.get(name, codes["other"]) if name and len(told[source_of(record)]) > 1 else -1
            for record, name in zip(records, named, strict=True)
        ],
        dtype=np.float32,
    )
