"""A model that is named once: what it says of files, and in how many processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edge_melanoma.data.images import UnreadableImageError
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.decisions import predict_files
from edge_melanoma.evaluation.subject import evaluate_subject, open_model
from edge_melanoma.machine.processes import run_limited
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runs.bundled import bundled_model, bundled_run
from edge_melanoma.runtime import trial

SILENT = SilentReporter()


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """A dark and a light one."""
    paths = [tmp_path / "dark.png", tmp_path / "light.png"]
    for path, grey in zip(paths, (40, 210), strict=True):
        Image.effect_noise((64, 64), 30).point(lambda level, grey=grey: grey).save(path)
    return paths


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    return path


def test_a_picture_that_cannot_be_read_is_a_row_with_its_reason(
    pictures: list[Path], broken: Path
) -> None:
    subject = open_model(Path("bundled"))
    rows = predict_files(subject, [pictures[0], broken, pictures[1]], reporter=SILENT)
    assert rows[1] == {"file": str(broken), "error": f"The image {broken} is not a picture."}
    assert [rows[0], rows[2]] == predict_files(subject, pictures, reporter=SILENT)
    assert {row["model"] for row in (rows[0], rows[2])} == {"bundled"}


def test_where_no_picture_can_be_read_the_first_reason_is_the_error(broken: Path) -> None:
    with pytest.raises(UnreadableImageError) as caught:
        predict_files(open_model(Path("bundled")), [broken, broken], reporter=SILENT)
    assert str(caught.value) == f"The image {broken} is not a picture."


def test_few_pictures_take_one_process_that_opens_tries_and_scores(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lone = tmp_path / "lone.tflite"
    lone.write_bytes(bundled_model().read_bytes())
    started: list[str] = []

    def count(function: Callable[..., Any], *args: Any, **settings: Any) -> Any:
        started.append(function.__name__)
        return run_limited(function, *args, **settings)

    monkeypatch.setattr(trial, "run_limited", count)
    monkeypatch.setattr(trial, "run_in_child", lambda *_: pytest.fail("a second process"))
    assert len(predict_files(open_model(lone), pictures, reporter=SILENT)) == 2
    assert started == ["_answer_all"]


def test_many_pictures_are_answered_by_the_pool_alike(
    pictures: list[Path], broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, subject = [*pictures, broken], open_model(Path("bundled"))
    few = predict_files(subject, files, reporter=SILENT)
    monkeypatch.setattr("edge_melanoma.evaluation.subject.FEW_FILES", 2)
    assert predict_files(subject, files, reporter=SILENT) == few


def test_a_threshold_that_is_asked_for_comes_before_the_model_s_own() -> None:
    own, asked = open_model(bundled_run().folder), open_model(Path("bundled"), threshold=0.25)
    assert (own.threshold, own.facts["threshold_source"]) == (bundled_run().threshold, "validation")
    assert (asked.threshold, asked.facts["threshold_source"]) == (0.25, "--threshold")


def test_a_file_without_a_run_needs_pictures_to_be_evaluated_on(tmp_path: Path) -> None:
    lone = tmp_path / "lone.tflite"
    lone.write_bytes(bundled_model().read_bytes())
    with pytest.raises(EdgeMelanomaError) as caught:
        evaluate_subject(open_model(lone), data=None, external={}, reporter=SILENT)
    assert str(caught.value) == (
        f"{lone} is not in a run folder; say what to score with --data DIR."
    )
