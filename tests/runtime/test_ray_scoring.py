"""Ray's actors give what the local pool gives, whatever happens to one of them."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.benchmarks.parity.scoring import Scoring
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.data.screening import read_fingerprints
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.decisions import predict_files
from edge_melanoma.evaluation.subject import open_model
from edge_melanoma.machine import ray as machine_ray
from edge_melanoma.machine.ray import RayWorkers, connect, map_in_actors
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runtime import ray_scoring
from edge_melanoma.runtime.classifiers import TFLiteClassifier
from edge_melanoma.runtime.names import Runtime

pytest.importorskip("ray", reason="the extra [ray] is not installed")
pytestmark = [
    pytest.mark.slow,
    # Of Ray's own modules, and of sockets that it leaves to the end of the process.
    pytest.mark.filterwarnings("ignore"),
]
TWO = RayWorkers(count=2)
SILENT = SilentReporter()


@pytest.fixture(scope="module", autouse=True)
def engine() -> Iterator[Any]:
    """Started once, for all tests."""
    from ray import cloudpickle

    with pytest.MonkeyPatch.context() as patched, connect(None, workers=2) as ray:
        # Actors cannot import this file.
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        for module in (machine_ray, ray_scoring):
            patched.setattr(module, "connect", lambda *_, **__: nullcontext(ray))
        yield ray


@pytest.fixture(scope="module")
def files(phantoms: Path) -> list[Path]:
    """More pictures than two actors take at once."""
    return sorted(phantoms.rglob("phantom_*"))[:40]


def test_scores_are_those_of_the_local_pool_in_their_order(files: list[Path]) -> None:
    data, found = bundled_model().read_bytes(), {}
    for name, workers in (("local", None), ("ray", TWO)):
        with TFLiteClassifier(data, name="int8", runtime=Runtime.LITERT, ray=workers) as model:
            found[name] = list(model.stream_scores(files))
    assert found["ray"] == found["local"]
    assert len(set(found["ray"])) > 1


def test_a_model_that_is_refused_is_the_same_sentence(files: list[Path]) -> None:
    broken = TFLiteClassifier(b"notes", name="notes.tflite", runtime=Runtime.LITERT, ray=TWO)
    with broken, pytest.raises(EdgeMelanomaError) as caught:
        list(broken.stream_scores(files[:1]))
    assert str(caught.value).startswith("The interpreter ai_edge_litert refuses notes.tflite: ")


def test_a_broken_picture_is_a_row_with_its_reason(files: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    subject = open_model(Path("bundled"), ray=TWO)
    rows = predict_files(subject, [files[0], broken, files[1]], reporter=SILENT)
    assert rows[1] == {"file": str(broken), "error": f"The image {broken} is not a picture."}
    local = predict_files(open_model(Path("bundled")), files[:2], reporter=SILENT)
    assert [rows[0], rows[2]] == local


def test_a_bench_scores_network_and_files_alike(exported_run: TrainedModel, phantoms: Path) -> None:
    records = read_lesions(phantoms)[:36]
    local, spread = (_scoring(exported_run, records, workers).score() for workers in (None, TWO))
    for mode in ("keras", "int8"):
        assert np.array_equal(local[mode].scores, spread[mode].scores)


def _scoring(
    run: TrainedModel, records: tuple[LesionRecord, ...], workers: RayWorkers | None
) -> Scoring:
    return Scoring(
        run=run,
        exports=[open_converted(run.exports_folder / "model_int8.tflite")],
        runtime=Runtime.LITERT,
        records=records,
        is_test_side=False,
        reporter=SILENT,
        ray=workers,
    )


def test_pictures_are_measured_alike(phantoms: Path, tmp_path: Path) -> None:
    records = read_lesions(phantoms)[:20]
    (broken := tmp_path / "empty.png").touch()
    bad = LesionRecord(image_id="empty.png", path=broken, is_malignant=False)
    local, spread = (
        read_fingerprints((*records, bad), cache_folder=None, reporter=SILENT, ray=workers)
        for workers in (None, TWO)
    )
    assert (spread.readable, spread.bad) == (local.readable, local.bad)
    assert spread.pixels == local.pixels
    assert np.array_equal(spread.statistics, local.statistics)
    places = np.arange(20)
    assert np.array_equal(spread.thumbnails[places], local.thumbnails[places])


def test_an_actor_that_is_killed_changes_nothing(engine: Any, tmp_path: Path) -> None:
    mark = tmp_path / "killed"
    found = list(map_in_actors(engine, partial(make_doubler, mark), range(100), TWO))
    assert found == [2 * number for number in range(100)]
    assert mark.exists()


def make_doubler(mark: Path) -> Callable[[int], int]:
    """Doubles numbers, and kills its own process at 50 if none has been killed before."""

    def double(number: int) -> int:
        if number == 50 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * number

    return double
