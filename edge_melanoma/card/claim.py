"""Items of CLAIM, the Checklist for Artificial Intelligence in Medical Imaging.

Numbers are those of the 2024 update (Tejani and others, doi:10.1148/ryai.240300) and of the first
edition (Mongan, Moy and Kahn, 2020, doi:10.1148/ryai.2020200029); the short names are ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

ITEMS_2020 = 42
ITEMS_2024 = MappingProxyType(
    {
        1: "named as a study of AI, with its kind",
        2: "summary of design, methods, results and conclusions",
        3: "background, intended use and role",
        4: "aims and hypotheses",
        5: "prospective or retrospective",
        6: "goal of the study",
        7: "data sources",
        8: "inclusion and exclusion criteria",
        9: "preprocessing",
        10: "selection of subsets of the data",
        11: "de-identification",
        12: "missing data",
        13: "image acquisition",
        14: "definition of the reference standard",
        15: "why this reference standard",
        16: "source of its annotations",
        17: "annotation of the test set",
        18: "variability between and within raters",
        19: "how data were assigned to partitions",
        20: "level at which partitions are disjoint",
        21: "intended sample size",
        22: "the model in detail",
        23: "software and its versions",
        24: "initial parameters",
        25: "training in detail",
        26: "how the final model was selected",
        27: "ensembling",
        28: "metrics of performance",
        29: "significance and uncertainty",
        30: "robustness or sensitivity",
        31: "explainability",
        32: "evaluation on internal data",
        33: "testing on external data",
        34: "registration of a clinical trial",
        35: "numbers included and excluded",
        36: "characteristics of the cases of each partition",
        37: "performance with its uncertainty",
        38: "diagnostic performance with its precision",
        39: "analysis of wrongly classified cases",
        40: "limitations",
        41: "implications for practice",
        42: "where the full protocol is",
        43: "availability of software, model and data",
        44: "funding",
    }
)
UNANSWERED = MappingProxyType(
    {
        2: "a card has no abstract",
        4: "no hypothesis was stated before the training",
        15: "the labels are those that the data sets came with",
        17: "no picture was annotated anew",
        18: "the data sets do not state it",
        21: "none was planned: all pictures of the data sets are used",
        34: "no clinical trial",
        42: "there is no protocol beside the run's manifest",
        44: "not known to the program that fills this card",
    }
)
"""Why a card that is filled from a run leaves an item open."""


def name_items(items_2024: Sequence[int], items_2020: Sequence[int]) -> str:
    """The line below a heading.

    Raises:
        ValueError: a number that the checklist has not got.
    """
    if not set(items_2024) <= set(ITEMS_2024) or not set(items_2020) <= set(
        range(1, ITEMS_2020 + 1)
    ):
        raise ValueError(f"CLAIM has no such items: {items_2024} of 2024, {items_2020} of 2020.")
    parts = []
    for year, items in ((2024, items_2024), (2020, items_2020)):
        if items:
            word = "item" if len(items) == 1 else "items"
            parts.append(f"CLAIM {year} {word} {', '.join(map(str, items))}")
    return f"*{'; '.join(parts)}*"


def list_items(answered: Mapping[str, Sequence[int]]) -> Iterator[tuple[int, str, str]]:
    """Number, name and place of every item of 2024; `answered` are the items of each heading."""
    for number, name in ITEMS_2024.items():
        places = [title for title, items in answered.items() if number in items]
        reason = UNANSWERED.get(number, "the run does not hold it")
        yield number, name, "; ".join(places) or f"not answered: {reason}"
