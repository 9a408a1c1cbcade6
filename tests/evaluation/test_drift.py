"""Counts of an app against those of validation, on pictures whose values are drawn here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import drift
from edge_melanoma.evaluation.drift import ALL, compare_counts, make_reference
from edge_melanoma.evaluation.predictions import Origin
from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.tflite.counts import (
    BINS,
    LEAST_ADDED,
    MEASURES,
    add_counts,
    bins_of,
    count_pictures,
    read_counts,
    values_of,
)
from edge_melanoma.tflite.gate import Placed

Values = Mapping[str, int]
CLINICS = ("north", "south")


def draw_pictures(
    count: int, *, seed: int, bluer: int = 0, clinics: tuple[str, ...] = CLINICS
) -> tuple[list[Values], list[Origin]]:
    """Two pictures a lesion, alike; the clinics differ in what is blue."""
    random = np.random.default_rng(seed)
    pictures: list[Values] = []
    origins = []
    for number in range(count // 2):
        clinic = clinics[number % len(clinics)]
        middle = random.normal(1000, 60, len(MEASURES))
        for _ in range(2):
            told = dict(zip(MEASURES, (middle + random.normal(0, 30, 7)).astype(int), strict=True))
            told["blue"] += bluer + 300 * (clinic == "south")
            pictures.append({name: int(value) for name, value in told.items()})
            origins.append(Origin(source=clinic, lesion=f"{seed}-{number}", diagnosis=""))
    return pictures, origins


@pytest.fixture(scope="module")
def block() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "DRAWS", 400)
        told = make_reference(*draw_pictures(800, seed=0))
    assert told is not None
    return told


def judged(pictures: list[Values], block: dict[str, Any]) -> dict[str, Any]:
    return compare_counts(count_pictures(pictures, block["edges"]), block)


def test_bins_are_tenths_and_numbers_are_whole(block: dict[str, Any]) -> None:
    assert list(block["groups"]) == [ALL, *CLINICS]
    whole = block["groups"][ALL]["counts"]
    assert all(60 <= count <= 100 for bins in whole.values() for count in bins)
    assert {sum(bins) for bins in whole.values()} == {800}
    assert json.loads(json.dumps(block), parse_float=pytest.fail) == block


@pytest.mark.parametrize("clinics", [CLINICS, ("south",)])
def test_pictures_like_all_or_like_one_clinic_are_no_drift(
    block: dict[str, Any], clinics: tuple[str, ...]
) -> None:
    found = [
        judged(draw_pictures(200, seed=seed, clinics=clinics)[0], block) for seed in range(1, 41)
    ]
    assert not any(one["drift"] for one in found)
    assert {one["nearest"] for one in found} == {ALL if len(clinics) == 2 else "south"}


def test_a_shift_that_no_clinic_has_is_drift_and_the_measure_is_named(
    block: dict[str, Any],
) -> None:
    told = judged(draw_pictures(200, seed=1, bluer=60, clinics=("south",))[0], block)
    assert (told["drift"], told["nearest"], told["changed"][0]) == (True, "south", "blue")
    assert told["groups"]["south"]["measures"]["blue"]["more"] > 0.7


def test_a_clinic_whose_lesions_have_many_pictures_has_a_higher_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drift, "DRAWS", 200)
    pictures, origins = draw_pictures(800, seed=0, clinics=("north",))
    alone = [origin._replace(lesion=str(place)) for place, origin in enumerate(origins)]
    limits = [
        (make_reference(pictures, of) or {})["groups"][ALL]["limit"] for of in (origins, alone)
    ]
    assert limits[0] > 1.1 * limits[1]


def test_too_few_pictures_are_said(block: dict[str, Any]) -> None:
    assert make_reference(*draw_pictures(198, seed=0)) is None
    with pytest.raises(EdgeMelanomaError, match="80 judged pictures, too few"):
        judged(draw_pictures(80, seed=1)[0], block)


def test_a_file_grows_by_twenty_pictures_and_holds_sums_alone(
    block: dict[str, Any], tmp_path: Path
) -> None:
    path, pictures = tmp_path / "counts.json", draw_pictures(60, seed=2)[0]
    refused = [{"gate": 9999}] * 5
    assert not add_counts(path, block, [*pictures[: LEAST_ADDED - 1], *refused])
    assert not path.exists()
    assert add_counts(path, block, [*pictures[:LEAST_ADDED], *refused])
    assert add_counts(path, block, pictures[LEAST_ADDED:])
    told = read_counts(path, block)
    assert set(told) == {"schema", "reference", "pictures", "counts"}
    assert told["pictures"] == 65
    assert told["counts"]["gate"][-1] >= 5
    assert {sum(told["counts"][name]) for name in MEASURES[1:]} == {60}
    assert {len(bins) for bins in told["counts"].values()} == {BINS}
    # In whatever order they came: nothing tells which picture was in which bins together.
    other = tmp_path / "other.json"
    assert add_counts(other, block, [*refused, *reversed(pictures)])
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reference": "0" * 64}, "holds counts of another model"),
        ({"pictures": 61}, "do not add up to its number of pictures, 61"),
        ({"reference": "me"}, "at reference, expected 64 hexadecimal digits"),
        ({"counts": {}}, "required field gate"),
        ({"schema": 2}, "newer version"),
    ],
)
def test_other_files_are_refused_in_a_sentence(
    block: dict[str, Any], tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    path = tmp_path / "counts.json"
    add_counts(path, block, draw_pictures(60, seed=2)[0])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EdgeMelanomaError, match=told):
        read_counts(path, block)


def test_a_picture_that_is_refused_has_its_distance_alone() -> None:
    from edge_melanoma.data.faults import measure_faults

    measures = measure_faults(np.full((224, 224, 3), 100, np.uint8))
    assert values_of(0.5, Placed(distance=300.0, limit=200.0), measures) == {"gate": 1500}
    values = values_of(0.5, Placed(distance=100.0, limit=200.0), measures)
    assert (values["gate"], values["score"], values["red"], values["colour"]) == (500, 128, 1000, 0)
    edges = {name: [500] * (BINS - 1) for name in MEASURES}
    assert (bins_of(values, edges)["gate"], bins_of(values, edges)["score"]) == (BINS - 1, 0)


def test_a_file_that_lies_alone_carries_its_counts(tmp_path: Path) -> None:
    lone = tmp_path / "found.tflite"
    lone.write_bytes(bundled_model().read_bytes())
    block = open_converted(lone).counts
    assert block == open_converted(bundled_model()).counts
    assert list(block["edges"]) == list(MEASURES)
    assert set(block["groups"]) > {ALL, "BCN"}
