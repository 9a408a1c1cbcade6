"""Where pictures were taken: the sources inside and across data sets, and what each can teach.

A score that tells one clinic's camera from another's looks as good as one that tells melanomas from
moles wherever the classes come from different clinics. So what is learned, chosen and judged is
learned, chosen and judged within sources that have both classes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from edge_melanoma.data.lesions import LesionRecord

CLINICS = MappingProxyType(
    {
        "bcn": "BCN",
        "isic 2019 training, bcn20000 part": "BCN",
        "isic2019-bcn-84": "BCN",
        "ham": "HAM",
        "ham10000-224": "HAM",
        "msk": "MSK",
        "msk4": "MSK",
        "msk_or_uda": "MSK",
        "isic-uda1": "MSK",
        "isic2020": "ISIC2020",
        "melanoma-10605": "ISIC2020",
    }
)
"""One name for each clinic of the ISIC Archive that public sets name differently, by their words in
lower case. MSK and UDA stand together, as the archive does not tell them apart everywhere. What of
melanoma-10605 no clinic of 2019 has is taken to be of ISIC 2020, as its benign pictures are."""

TELLING_AUC = 0.6
"""From here on a source that tells the class is worth a sentence: chance alone gives 0.5."""

LEAST_JUDGED = 10
"""Pictures of each class from which figures of a source are judged; below they are only shown."""


def source_of(record: LesionRecord) -> str:
    """The clinic that the table names, else the data set, by the archive's one name for it."""
    told = record.clinic or record.dataset or ""
    return CLINICS.get(told.lower(), told)


def count_sources(records: Iterable[LesionRecord]) -> dict[str, tuple[int, int]]:
    """Numbers of benign and of malignant pictures of each source, by name."""
    counts = Counter((source_of(record), record.is_malignant) for record in records)
    names = sorted({name for name, _ in counts})
    return {name: (counts[name, False], counts[name, True]) for name in names}


def auc_of_source(counts: Mapping[str, tuple[int, int]]) -> float | None:
    """That of a model that knows of a picture nothing but its source; none without both classes."""
    benign, malignant = (sum(both[place] for both in counts.values()) for place in (0, 1))
    if not benign or not malignant:
        return None
    pairs = 0
    for well, sick in counts.values():
        for other_well, other_sick in counts.values():
            # Twice the chance that a malignant picture of the one comes from the riskier source.
            here, there = sick * (other_well + other_sick), other_sick * (well + sick)
            pairs += sick * other_well * (2 * (here > there) + (here == there))
    return round(pairs / (2 * benign * malignant), 4)


def describe_sources(counts: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """What is to be feared of pictures whose classes come from different sources, in sentences."""
    auc = auc_of_source(counts)
    if len(counts) < 2 or auc is None:
        return
    if auc >= TELLING_AUC:
        yield f"The source alone tells malignant from benign with an AUC of {auc:.3f}."
    if not any(all(both) for both in counts.values()):
        yield (
            "No source has both classes: whatever is trained or measured on these images may tell "
            "clinics instead of lesions."
        )
        return
    for place, (name, other) in enumerate((("benign", "malignant"), ("malignant", "benign"))):
        having = [source for source, both in counts.items() if both[place]]
        lacking = [source for source in counts if source not in having]
        if len(having) == 1:
            others = [both[1 - place] for both in counts.values()]
            share = counts[having[0]][1 - place] / sum(others)
            yield (
                f"All {name} images come from {having[0]}, which has {share:.0%} of the {other} "
                f"ones: a model can win by telling cameras."
            )
        elif lacking:
            yield f"Sources without any {name} image: {', '.join(lacking)}."


def find_one_sided(
    records: Sequence[LesionRecord],
) -> dict[tuple[str, str, bool], list[LesionRecord]]:
    """Pictures that a set has of one class of a source alone, where another set has both classes.

    Such pictures differ from the source's others by how their set was made, so that size and
    compression would tell the class. By data set, source and whether they are malignant.
    """
    cells: dict[tuple[str, str], dict[bool, list[LesionRecord]]] = defaultdict(dict)
    for record in records:
        cell = cells[record.dataset or "", source_of(record)]
        cell.setdefault(record.is_malignant, []).append(record)
    whole = {source for (_, source), classes in cells.items() if len(classes) == 2}
    return {
        (dataset, source, is_malignant): members
        for (dataset, source), classes in cells.items()
        if len(classes) == 1 and source in whole
        for is_malignant, members in classes.items()
    }
