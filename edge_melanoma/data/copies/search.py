"""Copies of a picture, exact or near, within one data set and across several.

Near means resized, recompressed, cropped, mirrored, turned by quarters, or taken a moment later.
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.data.copies.alignment import align_guesses, shrink_greys
from edge_melanoma.data.copies.candidates import best_guesses, find_guesses
from edge_melanoma.data.copies.detail import look_closely
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import Fingerprints
from edge_melanoma.data.splits import Components, DatasetSplit, SplitKind, split_lesions
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.processes import map_ahead
from edge_melanoma.machine.rows import ChosenRows
from edge_melanoma.machine.terminal import Reporter

VERSION = "copies-v7"
LEAST_MATCH = 0.97
"""Of the aligned thumbnails; 475 of 475 synthetic copies had .98 and more, and what lies between
are other photographs of one lesion."""
LEAST_OVERLAP = 0.5


class CopyKind(StrEnum):
    """How two files are the same."""

    BYTES = "bytes"
    PIXELS = "pixels"
    NEAR = "near"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPair:
    """Two pictures that show the same; `detail` is the correlation of fine detail, 1 if exact."""

    first: str
    second: str
    kind: CopyKind
    detail: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """The copies in some data sets by image id: verified pairs, and the clusters that they form."""

    pairs: tuple[CopyPair, ...]
    clusters: tuple[tuple[str, ...], ...]


def find_copies(
    prints: Fingerprints, *, cache_folder: Path | None, reporter: Reporter
) -> Duplicates:
    """Find the exact and near copies among pictures that have been fingerprinted.

    With a cache folder, the near pairs of this very list of files are kept there.
    """
    near = _cached_near_pairs(prints, cache_folder, reporter)
    pairs = sorted([*_exact_pairs(prints), *near], key=lambda pair: (pair.first, pair.second))
    return Duplicates(pairs=tuple(pairs), clusters=cluster_pairs(pairs))


def mark_clusters(
    records: Iterable[LesionRecord], duplicates: Duplicates
) -> tuple[LesionRecord, ...]:
    """The records with the name of their cluster, which is its first image id."""
    named = {image_id: cluster[0] for cluster in duplicates.clusters for image_id in cluster}
    return tuple(replace(record, cluster=named.get(record.image_id)) for record in records)


def _exact_pairs(prints: Fingerprints) -> list[CopyPair]:
    """Each picture with the first one of the same pixels."""
    first: dict[str, LesionRecord] = {}
    pairs = []
    for record, pixels in zip(prints.readable, prints.pixels, strict=True):
        other = first.setdefault(pixels, record)
        if other is not record:
            kind = CopyKind.BYTES if other.sha256 == record.sha256 else CopyKind.PIXELS
            pairs.append(_pair(other.image_id, record.image_id, kind))
    return pairs


def _pair(one: str, other: str, kind: CopyKind, detail: float = 1.0) -> CopyPair:
    first, second = sorted((one, other))
    return CopyPair(first=first, second=second, kind=kind, detail=detail)


def _cached_near_pairs(
    prints: Fingerprints, cache_folder: Path | None, reporter: Reporter
) -> list[CopyPair]:
    """Near pairs, kept on disk by the hashes of all files in order."""
    if cache_folder is None:
        return _near_pairs(prints, reporter)
    hashes = "\n".join(str(record.sha256) for record in prints.readable)
    path = cache_folder / VERSION / f"{hashlib.sha256(hashes.encode()).hexdigest()[:24]}.json"
    ids = [record.image_id for record in prints.readable]
    if path.is_file():
        rows = json.loads(path.read_text())
        return [_pair(ids[one], ids[other], CopyKind.NEAR, detail) for one, other, detail in rows]
    pairs = _near_pairs(prints, reporter)
    places = {image_id: number for number, image_id in enumerate(ids)}
    rows = [(places[pair.first], places[pair.second], pair.detail) for pair in pairs]
    write_atomically(path, json.dumps(rows))
    return pairs


def _near_pairs(prints: Fingerprints, reporter: Reporter) -> list[CopyPair]:
    """Pairs of different pixels: of equal pictures the first stands for all."""
    # From the last to the first: which picture of a pair is looked through a window depends on it.
    numbered = reversed(list(enumerate(prints.pixels)))
    unique = [*{pixels: number for number, pixels in numbered}.values()]
    if len(unique) < 2:
        return []
    thumbnails = ChosenRows(prints.thumbnails, np.array(unique))
    parts = find_guesses(thumbnails, reporter=reporter)
    greys = shrink_greys(thumbnails)
    tracked = reporter.track(parts, label="Aligning pairs of images", total=len(parts))
    pairs = np.concatenate([align_guesses(greys, best_guesses(part[:])) for part in tracked])
    likely = pairs[(pairs["match"] >= LEAST_MATCH) & (pairs["overlap"] >= LEAST_OVERLAP)]
    records = [prints.readable[number] for number in unique]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looks = map_ahead(pool, lambda pair: _look(records, pair), likely)
        tracked_looks = reporter.track(looks, label="Looking closely at pairs", total=len(likely))
        return [pair for pair in tracked_looks if pair]


def _look(records: Sequence[LesionRecord], pair: Any) -> CopyPair | None:
    one, other = records[pair["first"]], records[pair["second"]]
    turn, centre, extent = int(pair["turn"]), pair["centre"], pair["extent"]
    close = look_closely(one.path, other.path, turn=turn, centre=centre, extent=extent)
    if not close.is_copy:
        return None
    return _pair(one.image_id, other.image_id, CopyKind.NEAR, round(close.detail, 4))


def cluster_pairs(pairs: Sequence[CopyPair]) -> tuple[tuple[str, ...], ...]:
    """Connected components of the pairs, each sorted, in the order of their first members."""
    groups = Components()
    for pair in pairs:
        groups.join(pair.first, pair.second)
    members: dict[str, list[str]] = defaultdict(list)
    for image_id in groups.names():
        members[groups.of(image_id)].append(image_id)
    return tuple(sorted(tuple(cluster) for cluster in members.values()))


def split_without_copies(
    prints: Fingerprints, *, kind: SplitKind, seed: int, cache_folder: Path, reporter: Reporter
) -> DatasetSplit:
    """Divide readable pictures, each cluster of copies to one side, and say what that means."""
    duplicates = find_copies(prints, cache_folder=cache_folder, reporter=reporter)
    split = split_lesions(mark_clusters(prints.readable, duplicates), kind=kind, seed=seed)
    if duplicates.clusters:
        copies = sum(len(cluster) for cluster in duplicates.clusters)
        reporter.say(
            f"Kept on one side each: {len(duplicates.clusters)} clusters of copies, "
            f"{copies} images."
        )
    if split.left_out:
        is_given = any(record.side == "validation" for record in split.validation)
        folders = "test or validation" if is_given else "test"
        told = f", as {len(split.leaked_test)} images there" if split.leaked_test else ""
        reporter.say(
            f"Left out of training: {len(split.left_out)} images that are in the "
            f"{folders} folder too{told}."
        )
    return split
