"""Which pictures train, which choose, which judge: seeded, grouped, and kept as JSON."""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge_melanoma.data.clinics import source_of
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import Reporter

SIDES = ("train", "validation", "test")
GIVEN_SIDES = ("test", "validation")
"""What a group of kin takes, the first of these that one of it stands on."""
POOLED_SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
FOLDERS_SHARES = {
    (True, False): {"train": 0.85, "validation": 0.15},
    (True, True): {"train": 1.0},
    (False, True): {"train": 0.80, "test": 0.20},
    (False, False): {"train": 0.67, "validation": 0.13, "test": 0.20},
}
"""Of what stands on no given side, by whether the set has a test side and a validation side."""


class SplitKind(StrEnum):
    """Pool all pictures and draw anew, or keep the given test and validation folders."""

    POOLED = "pooled"
    FOLDERS = "folders"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSplit:
    """The three sides of a data set.

    `left_out` holds the pictures that also stand, by lesion, by bytes or as near copies, in the
    given test folder, and training pictures that stand in the given validation folder;
    `leaked_test` the image ids of the test folder's pictures which stand in the other given parts,
    so that results can be shown without them too. The fingerprint is the sha256 over side, image
    id, label and bytes of every picture.

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
    they are, and the validation sides but what is kin to a test side, and leaves out what of them
    stands on another side of the same set too; of a set without such a side one is drawn, which
    takes what is kin to a given one.

    Raises:
        EdgeMelanomaError: `folders` without a given test or validation folder, or too few pictures.
    """
    groups = _group(records)
    if kind is SplitKind.POOLED:
        train, validation, test = _draw_sides(groups, shares=POOLED_SHARES, seed=seed).values()
        return DatasetSplit(train=train, validation=validation, test=test, kind=kind, seed=seed)
    return _keep_given_sides(records, groups, seed=seed)


def _keep_given_sides(
    records: Sequence[LesionRecord], groups: Sequence[list[LesionRecord]], *, seed: int
) -> DatasetSplit:
    given = {
        side: {record.dataset for record in records if record.side == side} for side in GIVEN_SIDES
    }
    if not any(given.values()):
        raise EdgeMelanomaError(
            "The data set has no test folder, which --split folders needs; use --split pooled."
        )
    sides: dict[str, list[LesionRecord]] = {side: [] for side in SIDES}
    left_out: list[LesionRecord] = []
    leaked_test: list[str] = []
    free: dict[tuple[bool, bool], list[list[LesionRecord]]] = defaultdict(list)
    for group in groups:
        stated = [side for side in GIVEN_SIDES if any(record.side == side for record in group)]
        if not stated:
            sets = {record.dataset for record in group}
            free[bool(sets & given["test"]), bool(sets & given["validation"])].append(group)
            continue
        side = stated[0]
        others = [record for record in group if record.side != side]
        rest = [r for r in others if r.dataset in given[side] or r.side in stated]
        left_out += rest
        if rest and side == "test":
            leaked_test += [record.image_id for record in group if record.side == side]
        sides[side] += [record for record in group if record not in rest]
    for status, members in free.items():
        for side, drawn in _draw_sides(members, shares=FOLDERS_SHARES[status], seed=seed).items():
            sides[side] += drawn
    return DatasetSplit(
        train=_sorted(sides["train"]),
        validation=_sorted(sides["validation"]),
        test=_sorted(sides["test"]),
        kind=SplitKind.FOLDERS,
        seed=seed,
        left_out=tuple(left_out),
        leaked_test=frozenset(leaked_test),
    )


def choose_kind(
    records: Iterable[LesionRecord], wanted: SplitKind | None, *, reporter: Reporter
) -> SplitKind:
    """The split that was asked for; else the one that keeps a given validation side, if any.

    Given sides that it does not keep are told.
    """
    given = Counter(record.side for record in records if record.side)
    told = ", ".join(f"{given[side]} {side}" for side in SIDES if given[side])
    if wanted is None and given["validation"]:
        reporter.say(f"The given sides are kept ({told} images): --split folders")
        return SplitKind.FOLDERS
    if len(given) > 1 and wanted is not SplitKind.FOLDERS:
        reporter.say(
            f"The given sides ({told} images) are pooled and drawn anew; --split folders keeps them"
        )
    return wanted or SplitKind.POOLED


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
