"""How a model does on parts of a data set, and which differences are more than chance.

A share that nothing defines is none and has a reason, never 0 or 1. Each group is tested against
the other pictures of the set whose attribute is known, by Fisher's exact test; Holm's correction
(1979) holds the chance of any false finding in the table of one set at 5 %.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.card.traits import ATTRIBUTES, ORDER, STATED, Traits
from edge_melanoma.evaluation.metrics import Interval, area_under_roc, wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine.markdown import DASH, share_of

FEWEST = 10
"""Images of a class below which a share is marked as of few, and not tested."""

SIGNIFICANCE = 0.05
NOT_KNOWN = "not known"
GATHERED, OTHERS = "site", "others"
"""Sites with fewer than ten images stand together."""

Cell = tuple[str, str, bool]
"""Attribute, value, and whether the malignant or the benign pictures of it."""

Count = tuple[int, int]
"""Decisions that were right, among how many pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A recall or a specificity of one group, over `images` of its class.

    `p` is that of the test against the rest, `holm_p` the corrected one; none where there is no
    test. Nothing but the number of images is there where the group lacks the class.
    """

    images: int
    value: float | None
    interval: Interval | None
    p: float | None = None
    holm_p: float | None = None

    @property
    def is_of_few(self) -> bool:
        """Whether it says little, whatever its value."""
        return self.images < FEWEST

    @property
    def differs(self) -> bool:
        """Whether it differs from the rest by more than chance, after correction."""
        return self.holm_p is not None and self.holm_p < SIGNIFICANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """The pictures of one value of one attribute; malignant is the positive class."""

    attribute: str
    value: str
    recall: Share
    specificity: Share
    auc: float | None

    @property
    def shares(self) -> dict[str, Share]:
        """Both shares by name, recall first."""
        return {"recall": self.recall, "specificity": self.specificity}

    def as_dict(self) -> dict[str, Any]:
        """For subgroups.json."""
        content: dict[str, Any] = {"attribute": self.attribute, "group": self.value}
        content |= {"malignant": self.recall.images, "benign": self.specificity.images}
        for name, share in self.shares.items():
            content |= {
                name: share.value,
                f"{name}_interval": share.interval,
                f"{name}_p": share.p,
                f"{name}_holm_p": share.holm_p,
                f"{name}_differs": share.differs,
            }
        content |= {"auc": self.auc, "few_malignant": self.recall.is_of_few}
        return content | {"few_benign": self.specificity.is_of_few, "undefined": self.undefined()}

    def undefined(self) -> dict[str, str]:
        """Metrics that this group does not define, with the reason."""
        classes = {"recall": "malignant", "specificity": "benign"}
        return {
            metric: f"no {classes[name]} images"
            for name, share in self.shares.items()
            if not share.images
            for metric in (name, "auc")
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupTable:
    """The subgroups of one data set; `absent` names attributes that no picture of it states."""

    threshold: float
    groups: tuple[Subgroup, ...]
    tests: int
    absent: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For subgroups.json."""
        return {
            "threshold": self.threshold,
            "tests": self.tests,
            "significance": SIGNIFICANCE,
            "absent": list(self.absent),
            "groups": [group.as_dict() for group in self.groups],
        }


def measure_subgroups(
    predictions: PredictionSet, traits: Sequence[Traits], *, threshold: float
) -> SubgroupTable:
    """The subgroups of `predictions` at `threshold`; `traits` are in the same order.

    Raises:
        ValueError: not as many traits as predictions.
    """
    if len(traits) != len(predictions.labels):
        raise ValueError(f"{len(traits)} traits of {len(predictions.labels)} pictures.")
    names = {*STATED, *(name for known in traits for name in known)}
    ordered = [*filter(names.__contains__, ATTRIBUTES), *sorted(names.difference(ATTRIBUTES))]
    members = {name: _members_of(name, [known.get(name) for known in traits]) for name in ordered}
    right = predictions.decisions(threshold=threshold) == predictions.labels
    counts = {
        (name, value, positive): (int(right[mask & side].sum()), int((mask & side).sum()))
        for name, values in members.items()
        for value, mask in values.items()
        for positive, side in ((True, predictions.labels), (False, ~predictions.labels))
    }
    tested, tests = _test_groups(counts)

    def share(cell: Cell) -> Share:
        right, images = counts[cell]
        p, holm_p = tested.get(cell, (None, None))
        if not images:
            return Share(images=0, value=None, interval=None)
        interval = wilson_interval(right, images)
        return Share(images=images, value=right / images, interval=interval, p=p, holm_p=holm_p)

    groups = tuple(
        Subgroup(
            attribute=name,
            value=value,
            recall=share((name, value, True)),
            specificity=share((name, value, False)),
            auc=_auc_of(predictions, mask),
        )
        for name, values in members.items()
        for value, mask in values.items()
    )
    absent = tuple(name for name, values in members.items() if not values)
    return SubgroupTable(threshold=threshold, groups=groups, tests=tests, absent=absent)


def _members_of(attribute: str, values: Sequence[str | None]) -> dict[str, NDArray[np.bool_]]:
    """Which pictures have each value, in the order of the table; nothing where all are unknown."""
    sizes = Counter(value for value in values if value is not None)
    if not sizes:
        return {}
    rare = {v for v, size in sizes.items() if size < FEWEST and attribute == GATHERED}
    named = [NOT_KNOWN if v is None else OTHERS if v in rare else v for v in values]
    last = {OTHERS: 1, NOT_KNOWN: 2}

    def place(value: str) -> tuple[int, int, int, str]:
        natural = ORDER.index(value) if value in ORDER else len(ORDER)
        return last.get(value, 0), natural, -sizes.get(value, 0), value

    column = np.array(named)
    return {value: column == value for value in sorted(set(named), key=place)}


def _test_groups(counts: Mapping[Cell, Count]) -> tuple[dict[Cell, tuple[float, float]], int]:
    """p and corrected p of each cell that has ten images, as its rest has, and how many tests."""
    from scipy.stats import fisher_exact

    comparisons: dict[Cell, Cell] = {}
    p_values: dict[Cell, float] = {}
    for (attribute, value, positive), (right, images) in counts.items():
        known = {v for a, v, _ in counts if a == attribute and v != NOT_KNOWN}
        if value not in known or len(known) < 2:
            continue
        rest = [counts[attribute, v, positive] for v in known - {value}]
        rest_right, rest_images = map(sum, zip(*rest, strict=True))
        if min(images, rest_images) < FEWEST:
            continue
        # Of two values each is the rest of the other: one comparison.
        comparison = attribute, min(known) if len(known) == 2 else value, positive
        comparisons[attribute, value, positive] = comparison
        table = np.array([[right, images - right], [rest_right, rest_images - rest_right]])
        p_values.setdefault(comparison, float(fisher_exact(table).pvalue))
    raised = dict(zip(p_values, holm_adjust(list(p_values.values())), strict=True))
    return {cell: (p_values[c], raised[c]) for cell, c in comparisons.items()}, len(p_values)


def holm_adjust(p_values: Sequence[float]) -> list[float]:
    """Holm's corrected p values, in the order given."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.array(p_values, dtype=np.float64)
    adjusted[order] = np.maximum.accumulate(adjusted[order] * factors).clip(max=1.0)
    return [float(p) for p in adjusted]


def _auc_of(predictions: PredictionSet, mask: NDArray[np.bool_]) -> float | None:
    labels, scores = predictions.labels[mask], predictions.scores[mask]
    if labels.all() or not labels.any():
        return None
    ids = tuple(np.array(predictions.image_ids, dtype=object)[mask])
    return area_under_roc(PredictionSet(image_ids=ids, labels=labels, scores=scores))


HEADER = ("group", "malignant", "recall", "AUC", "benign", "specificity")
FEW, DIFFERS = ", few", ", differs"


def rows_of_table(table: SubgroupTable) -> Iterator[tuple[str, ...]]:
    """The header, then a row a group, as plain text; recall first."""
    yield HEADER
    for group in table.groups:
        recall, specificity = group.recall, group.specificity
        few = FEW if recall.is_of_few or specificity.is_of_few else ""
        reasons = group.undefined()
        yield (
            f"{group.attribute}: {group.value}",
            str(recall.images),
            _share_text(recall, reasons.get("recall")),
            f"{DASH} ({reasons['auc']})" if group.auc is None else f"{group.auc:.3f}{few}",
            str(specificity.images),
            _share_text(specificity, reasons.get("specificity")),
        )


def describe_findings(table: SubgroupTable) -> Iterator[str]:
    """Which groups differ from the rest, how many tests were made, what is not known at all."""
    found = [
        f"{name} for {group.attribute} {group.value} {share.value:.3f} "
        f"(corrected p {share.holm_p:.2g})"
        for group in table.groups
        for name, share in group.shares.items()
        if share.differs
    ]
    tests = f"{table.tests} Fisher tests against the rest of the set, Holm's correction at "
    if found:
        yield f"Differ from the rest ({tests}{SIGNIFICANCE:g}): {'; '.join(found)}."
    else:
        yield f"No group differs from the rest by more than chance ({tests}{SIGNIFICANCE:g})."
    if table.absent:
        yield f"Not stated in this data set: {', '.join(table.absent)}."


def _share_text(share: Share, reason: str | None) -> str:
    if share.value is None:
        return f"{DASH} ({reason})"
    marks = (FEW if share.is_of_few else "") + (DIFFERS if share.differs else "")
    return share_of(share.value, share.interval) + marks
