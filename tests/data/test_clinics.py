"""Clinics have one name over all data sets, and what comes from one of one class is found."""

from pathlib import Path

import pytest

from edge_melanoma.data.clinics import count_sources, find_one_sided, source_of
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.sets import leave_out_one_sided
from edge_melanoma.machine.terminal import SilentReporter


def pictures(
    dataset: str | None, clinic: str | None = None, *, benign: int = 0, malignant: int = 0
) -> tuple[LesionRecord, ...]:
    return tuple(
        LesionRecord(
            image_id=f"{dataset}:{clinic}-{number}",
            path=Path("unused"),
            is_malignant=number >= benign,
            dataset=dataset,
            clinic=clinic,
        )
        for number in range(benign + malignant)
    )


@pytest.mark.parametrize(
    ("dataset", "clinic", "source"),
    [
        ("photos", "Elsewhere", "Elsewhere"),
        ("photos", None, "photos"),
        ("photos", "bcn", "BCN"),
        ("photos", "ISIC 2019 training, BCN20000 part", "BCN"),
        ("isic2019-bcn-84", None, "BCN"),
        ("isic2019-bcn-84", "HAM", "HAM"),
        ("ham10000-224", None, "HAM"),
        ("photos", "MSK4", "MSK"),
        ("photos", "MSK_or_UDA", "MSK"),
        ("photos", "ISIC-UDA1", "MSK"),
        ("melanoma-10605", None, "ISIC2020"),
        (None, None, ""),
    ],
)
def test_a_source_is_the_clinic_or_else_the_set_by_one_name(
    dataset: str | None, clinic: str | None, source: str
) -> None:
    (record,) = pictures(dataset, clinic, benign=1)
    assert source_of(record) == source


def test_sources_are_counted_over_sets_benign_first_and_by_name() -> None:
    records = [
        *pictures("one", "ham", benign=3, malignant=1),
        *pictures("two", "HAM", malignant=2),
        *pictures("two", benign=5),
        *pictures("ham10000-224", benign=1),
    ]
    counts = count_sources(records)
    assert counts == {"HAM": (4, 3), "two": (5, 0)}
    assert list(counts) == ["HAM", "two"]
    assert count_sources([]) == {}


WHOLE = pictures("archive", "BCN", benign=3, malignant=2)
RARE = pictures("collection", "BCN", malignant=4)
REST = pictures("collection", "MSK", benign=6)


def test_one_class_of_a_clinic_beside_a_set_with_both_is_one_sided() -> None:
    found = find_one_sided([*RARE, *WHOLE, *REST])
    assert found == {("collection", "BCN", True): list(RARE)}


def test_one_class_of_a_clinic_that_no_set_has_whole_is_not_one_sided() -> None:
    other_half = pictures("archive", "BCN", benign=3)
    assert find_one_sided([*RARE, *other_half, *REST]) == {}


def test_a_lone_set_is_never_one_sided() -> None:
    assert find_one_sided(WHOLE) == {}
    assert find_one_sided(RARE) == {}


class Lines(SilentReporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_one_sided_pictures_are_told_of_and_left_out() -> None:
    reporter = Lines()
    healthy = pictures("album", "bcn", benign=2)
    kept = leave_out_one_sided((*RARE, *WHOLE, *REST, *healthy), reporter=reporter)
    assert kept == (*WHOLE, *REST)
    assert reporter.said == [
        "Left out: 4 malignant images of BCN in collection, which has no benign ones of it, "
        "beside a set that has both",
        "Left out: 2 benign images of BCN in album, which has no malignant ones of it, "
        "beside a set that has both",
    ]
