"""How a model does on parts of a data set, and which differences are more than chance.

A share that nothing defines is none and has a reason, never 0 or 1. Each group is tested against
the other pictures of the set whose attribute is known, by Fisher's exact test; Holm's correction
(1979) holds the chance of any false finding in the table of one set at 5 %.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.card.traits import ATTRIBUTES, ORDER, STATED, Traits
from edge_melanoma.evaluation.metrics import area_under_roc, wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine.markdown import DASH, share_of

FEWEST = 10
"""Images of a class below which a share is marked as of few, and not tested."""

SIGNIFICANCE = 0.05
NOT_KNOWN = "not known"
GATHERED, OTHERS = "site", "others"
"""Sites with fewer than ten images stand together."""

HEADER = ("group", "malignant", "recall", "AUC", "benign", "specificity")
FEW, DIFFERS = ", few", ", differs"

Cell = tuple[str, str, bool]
"""Attribute, value, and whether the malignant or the benign pictures of it."""

Count = tuple[int, int]
"""Decisions that were right, among how many pictures."""


def measure_subgroups(
    predictions: PredictionSet, traits: Sequence[Traits], *, threshold: float
) -> dict[str, Any]:
    """What subgroups.json says of one data set at `threshold`; `traits` are of the same order.

    A group has both shares with interval, p and corrected p, none where nothing defines them or
    there is no test; `absent` names attributes that no picture states.

    Raises:
        ValueError: not as many traits as predictions.
    """
    if len(traits) != len(predictions.labels):
        raise ValueError(f"{len(traits)} traits of {len(predictions.labels)} pictures.")
    names = {*STATED, *(name for known in traits for name in known)}
    ordered = [*filter(names.__contains__, ATTRIBUTES), *sorted(names.difference(ATTRIBUTES))]
    members = {name: _members_of(name, [known.get(name) for known in traits]) for name in ordered}
    masks = {(name, value): m for name, values in members.items() for value, m in values.items()}
    right = predictions.decisions(threshold=threshold) == predictions.labels
    counts = {
        (*group, positive): (int(right[mask & side].sum()), int((mask & side).sum()))
        for group, mask in masks.items()
        for positive, side in ((True, predictions.labels), (False, ~predictions.labels))
    }
    tested, tests = _test_groups(counts)
    return {
        "threshold": threshold,
        "tests": tests,
        "significance": SIGNIFICANCE,
        "absent": [name for name, values in members.items() if not values],
        "groups": [
            _group_of(group, predictions.only(mask), counts, tested)
            for group, mask in masks.items()
        ],
    }


def _group_of(
    group: tuple[str, str],
    own: PredictionSet,
    counts: Mapping[Cell, Count],
    tested: Mapping[Cell, tuple[float, float]],
) -> dict[str, Any]:
    """The figures of one group, whose `own` predictions these are."""
    (_, malignant), (_, benign) = counts[*group, True], counts[*group, False]
    told: dict[str, Any] = {"attribute": group[0], "group": group[1]}
    told |= {"malignant": malignant, "benign": benign}
    undefined: dict[str, str] = {}
    for name, positive in (("recall", True), ("specificity", False)):
        right, images = counts[*group, positive]
        p, holm_p = tested.get((*group, positive), (None, None))
        told |= {
            name: right / images if images else None,
            f"{name}_interval": wilson_interval(right, images) if images else None,
            f"{name}_p": p,
            f"{name}_holm_p": holm_p,
            f"{name}_differs": holm_p is not None and holm_p < SIGNIFICANCE,
        }
        if not images:
            reason = f"no {'malignant' if positive else 'benign'} images"
            undefined |= {name: reason, "auc": reason}
    auc = None if undefined else area_under_roc(own.scores, own.labels)
    few = {"few_malignant": malignant < FEWEST, "few_benign": benign < FEWEST}
    return told | {"auc": auc, **few, "undefined": undefined}


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


def rows_of_table(table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The header, then a row a group, as plain text; recall first."""
    yield HEADER
    for group in table["groups"]:
        few = FEW if group["few_malignant"] or group["few_benign"] else ""
        auc = f"{group['auc']:.3f}{few}" if "auc" not in group["undefined"] else None
        yield (
            f"{group['attribute']}: {group['group']}",
            str(group["malignant"]),
            _share_text(group, "recall", is_of_few=group["few_malignant"]),
            auc or f"{DASH} ({group['undefined']['auc']})",
            str(group["benign"]),
            _share_text(group, "specificity", is_of_few=group["few_benign"]),
        )


def _share_text(group: Mapping[str, Any], name: str, *, is_of_few: bool) -> str:
    if name in group["undefined"]:
        return f"{DASH} ({group['undefined'][name]})"
    marks = (FEW if is_of_few else "") + (DIFFERS if group[f"{name}_differs"] else "")
    return share_of(group[name], group[f"{name}_interval"]) + marks


def describe_findings(table: Mapping[str, Any]) -> Iterator[str]:
    """Which groups differ from the rest, how many tests were made, what is not known at all."""
    found = [
        f"{name} for {group['attribute']} {group['group']} {group[name]:.3f} "
        f"(corrected p {group[f'{name}_holm_p']:.2g})"
        for group in table["groups"]
        for name in ("recall", "specificity")
        if group[f"{name}_differs"]
    ]
    tests = f"{table['tests']} Fisher tests against the rest of the set, Holm's correction at "
    if found:
        yield f"Differ from the rest ({tests}{SIGNIFICANCE:g}): {'; '.join(found)}."
    else:
        yield f"No group differs from the rest by more than chance ({tests}{SIGNIFICANCE:g})."
    if table["absent"]:
        yield f"Not stated in this data set: {', '.join(table['absent'])}."
