"""An epoch of several data sets: the largest whole, the others in their share, classes even."""

from collections import Counter
from pathlib import Path

import numpy as np

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.training.sampling import draw_epoch


def records_of(source: str | None, *, benign: int, malignant: int) -> list[LesionRecord]:
    return [
        LesionRecord(
            image_id=f"{source}:{number}",
            path=Path("unused"),
            is_malignant=number >= benign,
            source=source,
        )
        for number in range(benign + malignant)
    ]


LARGE = records_of("large", benign=60, malignant=40)
SMALL = records_of("small", benign=30, malignant=6)


def test_of_one_set_every_picture_is_shown_once() -> None:
    records = records_of(None, benign=5, malignant=5)
    order = draw_epoch(records, source_share=0.3, random=np.random.default_rng(0))
    assert sorted(order) == list(range(10))
    assert list(order) != list(range(10))


def test_without_a_share_every_picture_of_all_sets_is_shown_once() -> None:
    order = draw_epoch(LARGE + SMALL, source_share=None, random=np.random.default_rng(0))
    assert sorted(order) == list(range(136))


def test_a_smaller_set_gives_its_share_half_of_it_malignant() -> None:
    records = LARGE + SMALL
    order = draw_epoch(records, source_share=0.4, random=np.random.default_rng(0))
    shown = Counter((records[i].source, records[i].is_malignant) for i in order)
    assert shown == {
        ("large", False): 60,
        ("large", True): 40,
        ("small", False): 20,
        ("small", True): 20,
    }


def test_no_picture_is_shown_again_before_all_of_its_class_were() -> None:
    records = LARGE + SMALL
    order = draw_epoch(records, source_share=0.4, random=np.random.default_rng(0))
    times = Counter(i for i in order if records[i].source == "small" and records[i].is_malignant)
    assert set(times.values()) == {3, 4}
    assert len(times) == 6
