"""The benchmark counts what was found and what was taken for something else."""

from pathlib import Path

import pytest
from copied_lesions import draw, write_lesions
from copies import KINDS, measure_search

from edge_melanoma.data.copies import search
from edge_melanoma.data.copies.search import CopyKind, CopyPair, Duplicates
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.listing import read_lesions

SOURCES = {f"{kind}/0000.png": f"source {number}" for number, kind in enumerate(KINDS)}


def test_a_copy_counts_as_found_in_the_cluster_of_its_source(tmp_path: Path) -> None:
    write_lesions(tmp_path, count=4)
    draw(0).resize((150, 150)).save(tmp_path / "copy.png")
    copy = LesionRecord(image_id="resized/0.png", path=tmp_path / "copy.png", is_malignant=False)
    told = measure_search((*read_lesions(tmp_path), copy), {"resized/0.png": "benign/0.png"})
    assert told["recall"]["resized"] == [1, 1]
    assert (told["images"], told["pairs"], told["false_alarms"]) == (5, 1, 0)


def test_a_copy_that_pairs_with_a_stranger_is_a_false_alarm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy, source = next(iter(SOURCES.items()))
    pairs = tuple(
        CopyPair(first=copy, second=other, kind=CopyKind.NEAR) for other in (source, "stranger")
    )
    found = Duplicates(pairs=pairs, clusters=((copy, source, "stranger"),))
    monkeypatch.setattr(search, "find_copies", lambda *_, **__: found)
    told = measure_search((), SOURCES)
    assert told["false_alarms"] == 1
    assert sum(found for found, _ in told["recall"].values()) == 1
