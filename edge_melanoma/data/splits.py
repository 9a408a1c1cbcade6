"""Which pictures train, which choose, which judge: seeded, grouped, and kept as JSON."""

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge_melanoma.data.clinics import source_of
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.errors import EdgeMelanomaError

SIDES = ("train", "validation", "test")
POOLED_SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
FOLDERS_SHARES = {"train": 0.85, "validation": 0.15}
"""Of the given training folder."""
BESIDE_SHARES = {"train": 0.67, "validation": 0.13, "test": 0.20}
"""Of a set without a test folder, beside one that has its own."""


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


def find_divided(
    records: Sequence[LesionRecord], attribute: str, *, by_patient: bool = True
) -> tuple[tuple[str, ...], ...]:
    """Image ids of pictures that a table names as kin and whose `attribute` is not the same.

    Groups of one lesion or photograph, and `by_patient` of one patient too.
    """

    def keys_of(record: LesionRecord) -> tuple[str, ...]:
        named = record.named_kin()
        return (record.kin()[0], *(k for k in named if by_patient or not k.startswith("patient:")))

    return tuple(
        sorted(
            tuple(sorted(record.image_id for record in group))
            for group in _group(records, keys_of)
            if len({getattr(record, attribute) for record in group} - {None}) > 1
        )
    )


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
    """Divide pictures into three sides, each class of each source by the same shares.

    Pictures that are kin stay together, over all data sets. `folders` keeps the given test sides as
    they are and leaves out what of them stands in the training side of the same set too; of a set
    without a test side one is drawn, which takes what is kin to a given one.

    Raises:
        EdgeMelanomaError: `folders` without a given test folder, or too few pictures.
    """
    groups = _group(records)
    if kind is SplitKind.POOLED:
        train, validation, test = _draw_sides(groups, shares=POOLED_SHARES, seed=seed).values()
        return DatasetSplit(train=train, validation=validation, test=test, kind=kind, seed=seed)
    given = {record.dataset for record in records if record.side == "test"}
    if not given:
        raise EdgeMelanomaError(
            "The data set has no test folder, which --split folders needs; use --split pooled."
        )
    given_test: list[LesionRecord] = []
    left_out: list[LesionRecord] = []
    leaked_test: list[str] = []
    free: dict[bool, list[list[LesionRecord]]] = {True: [], False: []}
    for group in groups:
        judged = [record for record in group if record.side == "test"]
        if not judged:
            free[any(record.dataset in given for record in group)].append(group)
            continue
        rest = [record for record in group if record.side != "test" and record.dataset in given]
        left_out += rest
        leaked_test += [record.image_id for record in judged] if rest else []
        given_test += [record for record in group if record not in rest]
    beside = _draw_sides(free[False], shares=BESIDE_SHARES, seed=seed)
    kept = _draw_sides(free[True], shares=FOLDERS_SHARES, seed=seed)
    return DatasetSplit(
        train=_sorted([*kept["train"], *beside["train"]]),
        validation=_sorted([*kept["validation"], *beside["validation"]]),
        test=_sorted([*given_test, *beside["test"]]),
        kind=kind,
        seed=seed,
        left_out=tuple(left_out),
        leaked_test=frozenset(leaked_test),
    )


def split_to_json(split: DatasetSplit) -> dict[str, object]:
    """What split.json holds: how the sides were made, their image ids, each file's hash.

    `kin` are the names by which other pictures of what was learned are recognised elsewhere.
    """
    everything = [*split.train, *split.validation, *split.test]
    return {
        "schema": 1,
        "kind": split.kind.value,
        "seed": split.seed,
        "fingerprint": split.fingerprint,
        **{side: [r.image_id for r in records] for side, records in split.sides().items()},
        "left_out": [record.image_id for record in split.left_out],
        "leaked_test": sorted(split.leaked_test),
        "kin": sorted({key for r in (*split.train, *split.validation) for key in r.named_kin()}),
        "sha256": {record.image_id: record.sha256 for record in everything},
    }


def _draw_sides(
    groups: Sequence[list[LesionRecord]], *, shares: Mapping[str, float], seed: int
) -> dict[str, tuple[LesionRecord, ...]]:
    """A group counts as malignant if a picture of it is, and as of the source of its first one."""
    cells: dict[tuple[str, bool], list[list[LesionRecord]]] = defaultdict(list)
    for group in groups:
        is_malignant = any(record.is_malignant for record in group)
        cells[source_of(group[0]), is_malignant].append(group)
    several = len({source for source, _ in cells}) > 1
    drawn: dict[str, list[LesionRecord]] = {side: [] for side in shares}
    for (source, is_malignant), members in sorted(cells.items()):
        name = f"{seed}-{is_malignant}-{source}" if several else f"{seed}-{is_malignant}"
        random.Random(name).shuffle(members)
        _deal(members, drawn, shares)
    return {side: _sorted(members) for side, members in drawn.items()}


def _sorted(records: Iterable[LesionRecord]) -> tuple[LesionRecord, ...]:
    return tuple(sorted(records, key=lambda record: record.image_id))


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


def _group(
    records: Sequence[LesionRecord],
    keys_of: Callable[[LesionRecord], tuple[str, ...]] = LesionRecord.kin,
) -> list[list[LesionRecord]]:
    """Connected components of records that share a key, in stable order; their kin by default."""
    joined = Components()
    for record in records:
        first, *rest = keys_of(record)
        for key in rest:
            joined.join(first, key)
    groups: dict[str, list[LesionRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.image_id):
        groups[joined.of(keys_of(record)[0])].append(record)
    return list(groups.values())


def _refuse_shared_groups(sides: Mapping[str, tuple[LesionRecord, ...]]) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for side, records in sides.items():
        for record in records:
            for key in record.kin():
                other_side, other_id = seen.setdefault(key, (side, record.image_id))
                if other_side != side:
                    raise EdgeMelanomaError(
                        f"{record.image_id} ({side}) and {other_id} ({other_side}) are the same "
                        f"lesion or the same picture; both must be on one side of the split."
                    )
