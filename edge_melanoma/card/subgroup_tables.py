"""A table of subgroups in words: for the card and for the terminal."""

from collections.abc import Iterator

from edge_melanoma.card.subgroups import FEWEST, SIGNIFICANCE, Share, Subgroup, SubgroupTable
from edge_melanoma.machine.markdown import DASH

HEADER = ("group", "malignant", "recall", "AUC", "benign", "specificity")
FEW, DIFFERS = "few", "differs"


def rows_of_table(table: SubgroupTable) -> Iterator[tuple[str, ...]]:
    """The header, then a row a group, as plain text; recall first."""
    yield HEADER
    for group in table.groups:
        reasons = group.undefined()
        yield (
            f"{group.attribute}: {group.value}",
            str(group.recall.images),
            _share(group.recall, reasons.get("recall")),
            _auc(group, reasons.get("auc")),
            str(group.specificity.images),
            _share(group.specificity, reasons.get("specificity")),
        )


def describe_findings(table: SubgroupTable) -> Iterator[str]:
    """Which groups differ from the rest, how many tests were made, what is not known at all."""
    found = [
        f"{name} for {group.attribute} {group.value} {share.value:.3f} "
        f"(corrected p {share.holm_p:.2g})"
        for group in table.groups
        for name, share in (("recall", group.recall), ("specificity", group.specificity))
        if share.differs
    ]
    tests = f"{table.tests} Fisher tests against the rest of the set, Holm's correction at "
    if found:
        yield f"Differ from the rest ({tests}{SIGNIFICANCE:g}): {'; '.join(found)}."
    else:
        yield f"No group differs from the rest by more than chance ({tests}{SIGNIFICANCE:g})."
    if table.absent:
        yield f"Not stated in this data set: {', '.join(table.absent)}."


def explain_table() -> tuple[str, ...]:
    """What the marks and the estimated groups mean."""
    return (
        f"With 95 % intervals (Wilson). {FEW}: fewer than {FEWEST} pictures of the class, not "
        f"tested, and no ground for a conclusion. {DIFFERS}: differs from the rest of the set "
        f"after correction. Groups differ in more than their name, so that a difference shows "
        f"where to look and not its cause; no difference found is not the same as none.",
        "Skin tone: individual typology angle (Chardon and others, 1991) of the skin around the "
        "lesion, in uncalibrated pictures of unknown light; not known where the picture has a "
        "violet cast or shows too little skin. Hair, ruler marks, ink, dark corners and blur: "
        "found in the pixels by simple detectors that miss and err.",
    )


def _share(share: Share, reason: str | None) -> str:
    if share.value is None or share.interval is None:
        return f"{DASH} ({reason})"
    low, high = share.interval
    marks = [word for word, holds in ((FEW, share.is_of_few), (DIFFERS, share.differs)) if holds]
    return ", ".join([f"{share.value:.3f} ({low:.3f} to {high:.3f})", *marks])


def _auc(group: Subgroup, reason: str | None) -> str:
    if group.auc is None:
        return f"{DASH} ({reason})"
    few = group.recall.is_of_few or group.specificity.is_of_few
    return f"{group.auc:.3f}, {FEW}" if few else f"{group.auc:.3f}"
