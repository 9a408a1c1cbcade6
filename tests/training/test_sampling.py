"""What an epoch shows: shares of sources and diagnoses, and which diagnoses are named."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_melanoma.data.clinics import count_sources, source_of
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.network.recipes import NAMED_DIAGNOSES, Sampling


def records_of(
    dataset: str, *, benign: int = 0, malignant: int = 0, diagnosis: str | None = None
) -> list[LesionRecord]:
    return [
        LesionRecord(
            image_id=f"{dataset}:{diagnosis}-{number}",
            path=Path("unused"),
            is_malignant=number >= benign,
            dataset=dataset,
            attributes=(("diagnosis", diagnosis),) if diagnosis else (),
        )
        for number in range(benign + malignant)
    ]


LARGE = records_of("large", benign=60, malignant=40)
SMALL = records_of("small", benign=30, malignant=10)
PLAIN = Sampling(views=1000, malignant_share=0.4, diagnoses=())
Cells = dict[tuple[str, bool, str], int]


def drawn_epoch(records: Sequence[LesionRecord], sampling: Sampling | None) -> Any:
    from edge_melanoma.training.batches import draw_epoch

    return draw_epoch(records, sampling=sampling, random=np.random.default_rng(0))


def shown_of(records: Sequence[LesionRecord], sampling: Sampling) -> Cells:
    """How many views of an epoch are of each set, class and diagnosis."""
    shown = [records[place] for place in drawn_epoch(records, sampling)]
    told = [
        (r.dataset or "", r.is_malignant, dict(r.attributes).get("diagnosis", "")) for r in shown
    ]
    return dict(Counter(told))


@pytest.mark.parametrize("records", [LARGE, LARGE + SMALL], ids=["one set", "two sets"])
def test_without_sampling_every_picture_is_shown_once(records: list[LesionRecord]) -> None:
    order = drawn_epoch(records, None)
    assert sorted(order) == list(range(len(records)))
    assert list(order) != list(range(len(records)))


def test_a_source_is_shown_by_the_root_of_its_rarer_class() -> None:
    # Rarer classes of 40 and of 10 pictures: two views to one.
    assert shown_of(LARGE + SMALL, PLAIN) == {
        ("large", False, ""): 400,
        ("large", True, ""): 267,
        ("small", False, ""): 200,
        ("small", True, ""): 133,
    }


def test_sources_of_one_class_are_not_shown_beside_one_with_both() -> None:
    records = [*LARGE, *records_of("moles", benign=500), *records_of("melanomas", malignant=50)]
    assert shown_of(records, PLAIN) == {("large", False, ""): 600, ("large", True, ""): 400}


def test_where_no_source_has_both_classes_all_count_as_one() -> None:
    records = [*records_of("moles", benign=500), *records_of("melanomas", malignant=50)]
    assert shown_of(records, PLAIN) == {("moles", False, ""): 600, ("melanomas", True, ""): 400}


def test_diagnoses_are_shown_as_often_as_their_weights_say() -> None:
    records = [
        *records_of("set", benign=300, diagnosis="nv"),
        *records_of("set", benign=100, diagnosis="bkl"),
        *records_of("set", malignant=50, diagnosis="mel"),
        *records_of("set", malignant=50, diagnosis="bcc"),
    ]
    weights = (("nv", 1.0), ("bkl", 0.5), ("mel", 3.0), ("bcc", 1.0))
    assert shown_of(records, replace(PLAIN, diagnoses=weights)) == {
        ("set", False, "nv"): 400,
        ("set", False, "bkl"): 200,
        ("set", True, "mel"): 300,
        ("set", True, "bcc"): 100,
    }


def test_pictures_without_a_diagnosis_keep_the_share_that_they_have() -> None:
    records = [
        *records_of("set", benign=100, diagnosis="nv"),
        *records_of("set", benign=50, diagnosis="bkl"),
        *records_of("set", benign=100),
        *records_of("set", benign=50, diagnosis="not a word of the recipe"),
        *records_of("set", malignant=10),
    ]
    shown = shown_of(records, replace(PLAIN, diagnoses=(("nv", 1.0), ("bkl", 1.0))))
    nv, bkl, unnamed = 150, 150, 300
    assert shown["set", False, "nv"] == nv
    assert shown["set", False, "bkl"] == bkl
    assert shown["set", False, ""] + shown["set", False, "not a word of the recipe"] == unnamed
    assert shown["set", True, ""] == 400


@pytest.mark.parametrize("rare", [1, 3, 20])
def test_a_rare_diagnosis_is_not_shown_more_than_six_times_as_often_as_its_class(
    rare: int,
) -> None:
    from edge_melanoma.training.batches import MOST_OFTEN

    records = [
        *records_of("set", benign=1000 - 2 * rare, diagnosis="nv"),
        *records_of("set", benign=rare, diagnosis="df"),
        *records_of("set", benign=rare, diagnosis="vasc"),
        *records_of("set", malignant=100, diagnosis="mel"),
    ]
    weights = (("nv", 1.0), ("df", 1.0), ("vasc", 4.0), ("mel", 1.0))
    shown = shown_of(records, replace(PLAIN, views=100_000, diagnoses=weights))
    on_average = 60_000 / 1000
    for name in ("df", "vasc"):
        assert shown["set", False, name] / rare == pytest.approx(MOST_OFTEN * on_average, rel=0.01)
    assert sum(number for cell, number in shown.items() if not cell[1]) == 60_000


def test_no_picture_is_shown_again_before_all_of_its_cell_were() -> None:
    records = LARGE + SMALL
    order = drawn_epoch(records, PLAIN)
    for dataset, is_malignant in (("large", False), ("large", True), ("small", True)):
        cell = {
            n
            for n, r in enumerate(records)
            if (r.dataset, r.is_malignant) == (dataset, is_malignant)
        }
        times = Counter(place for place in order if place in cell)
        assert times.keys() == cell
        assert max(times.values()) - min(times.values()) <= 1


weights_of = st.fixed_dictionaries(dict.fromkeys(("nv", "mel", "bkl", "df"), st.floats(0.05, 1)))
cells = st.lists(
    st.tuples(
        st.sampled_from(("one", "two", "three")),
        st.booleans(),
        st.sampled_from(("nv", "mel", "bkl", "df", "odd", "")),
        st.integers(1, 60),
    ),
    min_size=2,
    max_size=12,
    unique_by=lambda cell: cell[:3],
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cells, weights_of, st.floats(0.1, 0.9))
def test_shares_add_up_and_no_picture_is_shown_too_often(
    drawn: list[tuple[str, bool, str, int]], weights: dict[str, float], malignant_share: float
) -> None:
    from edge_melanoma.training.batches import MOST_OFTEN, cells_of

    records = [
        record
        for dataset, is_malignant, diagnosis, count in drawn
        for record in records_of(
            dataset,
            benign=0 if is_malignant else count,
            malignant=count if is_malignant else 0,
            diagnosis=diagnosis or None,
        )
    ]
    assume(len({record.is_malignant for record in records}) == 2)
    sampling = Sampling(
        views=5000, malignant_share=malignant_share, diagnoses=tuple(weights.items())
    )
    found = cells_of(records, sampling)
    assert sum(share for _, share in found) == pytest.approx(1)
    malignant = [(m, share) for m, share in found if records[m[0]].is_malignant]
    assert sum(share for _, share in malignant) == pytest.approx(malignant_share)
    whole = {name for name, counts in count_sources(records).items() if min(counts)}
    classes: dict[tuple[str, bool], list[tuple[int, float]]] = defaultdict(list)
    for members, share in found:
        first = records[members[0]]
        source = source_of(first) if whole else ""
        assert not whole or source in whole
        classes[source, first.is_malignant].append((len(members), share))
    for parts in classes.values():
        pictures, shares = (sum(column) for column in zip(*parts, strict=True))
        for number, share in parts:
            assert share / number <= MOST_OFTEN * shares / pictures * (1 + 1e-9)
    order = drawn_epoch(records, sampling)
    # Each cell is rounded, and has a view at least.
    assert abs(len(order) - sampling.views) <= len(found)


def test_an_epoch_has_as_many_views_whatever_is_drawn() -> None:
    from edge_melanoma.training.batches import draw_epoch

    records = LARGE + SMALL
    orders = [
        draw_epoch(records, sampling=PLAIN, random=np.random.default_rng(seed)) for seed in (1, 2)
    ]
    assert len(orders[0]) == len(orders[1])
    assert not np.array_equal(orders[0], orders[1])


def test_a_diagnosis_is_named_where_its_source_tells_it_of_both_classes() -> None:
    from edge_melanoma.training.batches import name_diagnoses

    records = [
        *records_of("both", benign=1, diagnosis="nv"),
        *records_of("both", malignant=1, diagnosis="mel"),
        *records_of("both", benign=1, diagnosis="df"),
        *records_of("both", benign=1),
        *records_of("half", malignant=1, diagnosis="mel"),
        *records_of("half", benign=1),
    ]
    codes = name_diagnoses(records)
    names = [NAMED_DIAGNOSES[int(code)] if code >= 0 else None for code in codes]
    assert names == ["nv", "mel", "other", None, None, None]
