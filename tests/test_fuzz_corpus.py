"""What fuzzing once found stays found, and what it begins with is read or refused."""

from pathlib import Path

import pytest
from harnesses import HARNESSES, run_harness, seeds

CORPUS = Path(__file__).parent / "fuzz" / "corpus"
CASES = sorted(path for name in HARNESSES for path in (CORPUS / name).glob("*"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_past_finding_is_read_or_refused(path: Path) -> None:
    run_harness(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("name", HARNESSES)
def test_every_seed_and_every_beginning_of_one_is_read_or_refused(name: str) -> None:
    for data in seeds(name):
        for length in {len(data), len(data) // 2, 9}:
            run_harness(name, data[:length])


def test_every_folder_of_the_corpus_belongs_to_a_harness() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= HARNESSES.keys()
    assert len(CASES) >= 5
