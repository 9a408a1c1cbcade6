"""Which pictures train, which choose, which judge: seeded, grouped, and kept as JSON."""

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.errors import EdgeMelanomaError

SIDES = ("train", "validation", "test")
POOLED_SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
FOLDERS_SHARES = {"train": 0.85, "validation": 0.15}
"""Of the given training folder."""


class SplitKind(StrEnum):
    """Pool all pictures and draw anew, or keep the given test folder."""

    POOLED = "pooled"
    FOLDERS = "folders"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSplit:
    """The three sides of a data set.

    `left_out` holds the training pictures that also stand, by lesion, by bytes or as near copies,
    in the given test folder; `leaked_test` the image ids of that folder's pictures which stand in
    the given training part, so that results can be shown without them too. The fingerprint is the
    sha256 over side, image id, label and bytes of every picture.

    Raises:
        EdgeMelanomaError: a lesion or a picture on two sides, or a side without one class.
    """

    train: tuple[LesionRecord, ...]
    validation: tuple[LesionRecord, ...]
    test: tuple[LesionRecord, ...]
    kind: SplitKind
    seed: int
    left_out: tuple[LesionRecord, ...] = ()
    leaked_test: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for side, records in self.sides().items():
            benign, malignant = count_classes(records)
            if not benign or not malignant:
                raise EdgeMelanomaError(
                    f"The {side} side of the split has {benign} benign and {malignant} malignant "
                    f"images; each side needs both classes: add images or use another --split."
                )
        _refuse_shared_groups(self.sides())

    def sides(self) -> dict[str, tuple[LesionRecord, ...]]:
        """The records of each side, by name, train first."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def fingerprint(self) -> str:
        """Changes with any picture, label or side."""
        return fingerprint_of(self.sides())


class Components:
    """Names in disjoint groups, which `join` makes one; a name is alone until it is joined."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def join(self, one: str, other: str) -> None:
        """Make the groups of the two names one."""
        self._parent[self.of(other)] = self.of(one)

    def of(self, name: str) -> str:
        """The name that stands for the group of `name`."""
        parent = self._parent
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def names(self) -> list[str]:
        """All names that have been met, sorted."""
        return sorted(self._parent)


def fingerprint_of(sides: Mapping[str, Iterable[LesionRecord]]) -> str:
    """sha256 over side, image id, label and bytes of every picture, whatever their order."""
    lines = sorted(
        f"{side}\t{record.image_id}\t{int(record.is_malignant)}\t{record.sha256}\n"
        for side, records in sides.items()
        for record in records
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def split_lesions(
    records: Sequence[LesionRecord], *, kind: SplitKind = SplitKind.POOLED, seed: int = 0
) -> DatasetSplit:
    """Divide pictures into three sides, each class by the same shares.

    Pictures of one lesion, of one cluster of copies and with the same bytes stay together.
    `folders` keeps the given test side as it is and leaves out what of it stands in the training
    side too.

    Raises:
        EdgeMelanomaError: `folders` without a given test folder, or too few pictures.
    """
    leaked: list[LesionRecord] = []
    leaked_test: list[str] = []
    if kind is SplitKind.POOLED:
        sides = _draw_sides(records, shares=POOLED_SHARES, seed=seed)
    else:
        test = tuple(record for record in records if record.side == "test")
        if not test:
            raise EdgeMelanomaError(
                "The data set has no test folder, which --split folders needs; use --split pooled."
            )
        kept: list[LesionRecord] = []
        for group in _group(records):
            rest = [record for record in group if record.side != "test"]
            if len(rest) == len(group):
                kept += rest
            elif rest:
                leaked += rest
                leaked_test += [record.image_id for record in group if record.side == "test"]
        sides = _draw_sides(kept, shares=FOLDERS_SHARES, seed=seed) | {"test": test}
    return DatasetSplit(
        **sides,
        kind=kind,
        seed=seed,
        left_out=tuple(leaked),
        leaked_test=frozenset(leaked_test),
    )


def split_to_json(split: DatasetSplit) -> dict[str, object]:
    """What split.json holds: how the sides were made, their image ids, each file's hash."""
    everything = [*split.train, *split.validation, *split.test]
    return {
        "schema": 1,
        "kind": split.kind.value,
        "seed": split.seed,
        "fingerprint": split.fingerprint,
        **{side: [r.image_id for r in records] for side, records in split.sides().items()},
        "left_out": [record.image_id for record in split.left_out],
        "leaked_test": sorted(split.leaked_test),
        "sha256": {record.image_id: record.sha256 for record in everything},
    }


def _draw_sides(
    records: Sequence[LesionRecord], *, shares: Mapping[str, float], seed: int
) -> dict[str, tuple[LesionRecord, ...]]:
    by_class: dict[bool, list[list[LesionRecord]]] = {False: [], True: []}
    for group in _group(records):
        by_class[any(record.is_malignant for record in group)].append(group)
    drawn: dict[str, list[LesionRecord]] = {side: [] for side in shares}
    for is_malignant, groups in by_class.items():
        random.Random(f"{seed}-{is_malignant}").shuffle(groups)
        _deal(groups, drawn, shares)
    return {
        side: tuple(sorted(members, key=lambda record: record.image_id))
        for side, members in drawn.items()
    }


def _deal(
    groups: list[list[LesionRecord]],
    drawn: dict[str, list[LesionRecord]],
    shares: Mapping[str, float],
) -> None:
    """Fill the smaller sides up to their share; the first side takes what is left."""
    total = sum(len(group) for group in groups)
    first, *others = shares
    queue = iter(groups)
    for side in reversed(others):
        wanted = round(total * shares[side])
        taken = 0
        while taken < wanted and (group := next(queue, None)) is not None:
            drawn[side] += group
            taken += len(group)
    for group in queue:
        drawn[first] += group


def _keys_of(record: LesionRecord) -> list[str]:
    named = {"lesion": record.lesion_id, "bytes": record.sha256, "cluster": record.cluster}
    keys = [f"{kind}:{name}" for kind, name in named.items() if name]
    return keys if record.lesion_id else [f"image:{record.image_id}", *keys]


def _group(records: Sequence[LesionRecord]) -> list[list[LesionRecord]]:
    """Connected components of records that share a lesion, bytes or a cluster, in stable order."""
    joined = Components()
    for record in records:
        first, *rest = _keys_of(record)
        for key in rest:
            joined.join(first, key)
    groups: dict[str, list[LesionRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.image_id):
        groups[joined.of(_keys_of(record)[0])].append(record)
    return list(groups.values())


def _refuse_shared_groups(sides: Mapping[str, tuple[LesionRecord, ...]]) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for side, records in sides.items():
        for record in records:
            for key in _keys_of(record):
                other_side, other_id = seen.setdefault(key, (side, record.image_id))
                if other_side != side:
                    raise EdgeMelanomaError(
                        f"{record.image_id} ({side}) and {other_id} ({other_side}) are the same "
                        f"lesion or the same picture; both must be on one side of the split."
                    )
