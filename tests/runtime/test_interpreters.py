"""Models in interpreters and child processes: the same scores however many, and clean deaths."""

import multiprocessing
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tflite_files import empty_model, mean_model

from edge_melanoma.data.images import read_image
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runtime.classifiers import CHUNK_SIZE, SessionPool, score_file
from edge_melanoma.runtime.interpreters import Answer, SessionSettings, TFLiteSession, answer_file
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.runtime.trial import choose_runtime, probe_runtime

DIED = (
    "The process that ran the model died, out of memory or by a defect of the interpreter; "
    "check the file, or choose another interpreter with --interpreter."
)
TEXT = b"These are notes, and no network."


@pytest.fixture(scope="module")
def int8_model(exported_run: TrainedModel) -> bytes:
    return (exported_run.exports_folder / "model_int8.tflite").read_bytes()


@pytest.fixture(scope="module")
def paths(phantoms: Path) -> list[Path]:
    """More pictures than two chunks hold."""
    return sorted(phantoms.rglob("phantom_*"))[: 2 * CHUNK_SIZE + 1]


def pool_of(data: bytes, *, workers: int, name: str = "a.tflite") -> SessionPool:
    settings = SessionSettings(data=data, name=name, runtime=Runtime.LITERT)
    return SessionPool({"model": settings}, workers=workers)


def scores_of(pool: SessionPool, files: list[Path]) -> list[float]:
    return list(pool.map(score_file, files, model="model"))


def answers_of(data: bytes, files: list[Path]) -> list[Answer]:
    with pool_of(data, workers=1) as pool:
        found = list(pool.map(answer_file, files, model="model"))
    return [answer for answer in found if isinstance(answer, Answer)]


# tf.lite warns that it will be gone one day.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("runtime", [Runtime.LITERT, Runtime.TF_LITE])
@pytest.mark.parametrize(
    ("tensor", "signature", "score"),
    [
        # White has the mean 1, which is four quarters: the integer 24.
        ("PartitionedCall:0", "p_malignant", 1.0),
        ("PartitionedCall:0", "logit", np.e / (1 + np.e)),
        ("logit", "p_malignant", 1.0),
        ("p_malignant", "logit", np.e / (1 + np.e)),
        ("logit", None, np.e / (1 + np.e)),
        ("p_malignant", None, 1.0),
    ],
)
def test_an_output_that_is_called_logit_becomes_a_probability_and_no_other(
    runtime: Runtime, tensor: str, signature: str | None, score: float
) -> None:
    data = mean_model(tensor=tensor, signature=signature)
    session = TFLiteSession(SessionSettings(data=data, name="a.tflite", runtime=runtime))
    white = np.full((224, 224, 3), 255, np.uint8)
    # One exponential, one sum and one quotient round, of numbers below 1.
    assert session.score(white) == pytest.approx(score, abs=4 * 2**-53)
    assert session.raw_output().tolist() == [24]
    black = 0.5 if score < 1 else 0.0
    assert session.score(np.zeros_like(white)) == black
    assert session.raw_output().tolist() == [20]


def test_the_integer_of_a_logit_is_told_as_it_is(paths: list[Path]) -> None:
    data = mean_model(tensor="", signature="logit")
    answers = answers_of(data, paths[:3])
    assert len(answers) == 3
    for answer in answers:
        assert answer.integer is not None
        logit = (answer.integer - 20) / 4
        assert answer.score == pytest.approx(1 / (1 + np.exp(-logit)), abs=4 * 2**-53)
        assert 20 < answer.integer < 24


def test_int8_scores_are_whole_256ths_and_differ(int8_model: bytes, paths: list[Path]) -> None:
    with pool_of(int8_model, workers=1) as one:
        scores = np.array(scores_of(one, paths))
    assert np.array_equal(scores * 256, np.round(scores * 256))
    assert scores.min() >= 0
    assert scores.max() <= 255 / 256
    assert len(set(scores.tolist())) > 1


def test_two_workers_give_the_scores_of_one_in_the_same_order(
    int8_model: bytes, paths: list[Path]
) -> None:
    session = TFLiteSession(
        SessionSettings(data=int8_model, name="a.tflite", runtime=Runtime.LITERT)
    )
    pictures = np.stack([read_image(path) for path in paths])
    expected = [session.score(picture) for picture in pictures]
    for workers in (1, 2):
        with pool_of(int8_model, workers=workers) as several:
            assert scores_of(several, paths) == expected


def test_no_pictures_have_no_scores(int8_model: bytes) -> None:
    with pool_of(int8_model, workers=1) as one:
        assert scores_of(one, []) == []


def test_a_session_forgets_the_picture_before(int8_model: bytes, paths: list[Path]) -> None:
    settings = SessionSettings(data=int8_model, name="a.tflite", runtime=Runtime.LITERT, threads=2)
    session = TFLiteSession(settings)
    first, second = (read_image(paths[number]) for number in (0, -1))
    alone = TFLiteSession(settings).score(second)
    session.score(first)
    assert session.score(second) == alone


def test_integers_come_with_int8_scores_and_not_with_float_ones(
    exported_run: TrainedModel, int8_model: bytes, paths: list[Path]
) -> None:
    float32 = (exported_run.exports_folder / "model_float32.tflite").read_bytes()
    integers, floats = (answers_of(data, paths[:3]) for data in (int8_model, float32))
    assert [answer.score for answer in integers] == [
        (answer.integer + 128) / 256 for answer in integers if answer.integer is not None
    ]
    assert [answer.integer for answer in floats] == [None] * 3


def test_a_text_in_place_of_a_model_is_refused_in_one_sentence(paths: list[Path]) -> None:
    sentence = (
        "The interpreter ai_edge_litert refuses notes.tflite: "
        "The model is not a valid Flatbuffer buffer."
    )
    settings = SessionSettings(data=TEXT, name="notes.tflite", runtime=Runtime.LITERT)
    with pytest.raises(EdgeMelanomaError) as caught:
        TFLiteSession(settings)
    assert str(caught.value) == sentence
    # The same through a pool, where the child opens the model when it is asked for scores.
    with (
        pool_of(TEXT, workers=1, name="notes.tflite") as broken,
        pytest.raises(EdgeMelanomaError) as passed_on,
    ):
        scores_of(broken, paths[:1])
    assert str(passed_on.value) == sentence


@pytest.mark.parametrize("shape", [[1, 96, 96, 3], [2, 224, 224, 3], [1, 224, 224, 3]])
def test_a_model_of_other_shapes_is_no_lesion_classifier(shape: list[int]) -> None:
    data = empty_model(shape=shape)
    with pytest.raises(EdgeMelanomaError) as caught:
        TFLiteSession(SessionSettings(data=data, name="faces.tflite", runtime=Runtime.LITERT))
    assert str(caught.value) == (
        "faces.tflite is not a lesion classifier: expected one input of shape (1, side, side, 3) "
        "for square pictures and one output, P(malignant) or the classes of a softmax."
    )


def test_a_picture_that_cannot_be_read_is_named_by_the_parent(
    int8_model: bytes, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.png"
    with pool_of(int8_model, workers=1) as one, pytest.raises(EdgeMelanomaError) as caught:
        scores_of(one, [missing])
    assert str(caught.value) == f"The image {missing} is missing or is not a regular file."


def test_a_child_that_dies_is_one_sentence() -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        run_in_child(os._exit, 3)
    assert str(caught.value) == DIED


def test_what_a_child_raises_is_raised_by_the_parent() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        run_in_child(int, "one")
    assert str(caught.value) == "invalid literal for int() with base 10: 'one'"


def test_a_classifier_whose_children_are_killed_says_so(
    int8_model: bytes, paths: list[Path]
) -> None:
    others = set(multiprocessing.active_children())
    with pool_of(int8_model, workers=1) as one:
        assert len(scores_of(one, paths[:1])) == 1
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        with pytest.raises(EdgeMelanomaError) as caught:
            scores_of(one, paths)
    assert str(caught.value) == DIED


def test_litert_is_the_first_choice() -> None:
    assert probe_runtime(Runtime.LITERT) is None
    assert choose_runtime(None) is Runtime.LITERT


@pytest.mark.skipif(find_spec("tflite_runtime") is not None, reason="tflite-runtime is installed")
def test_an_interpreter_that_is_not_installed_is_refused_when_asked_for() -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        choose_runtime(Runtime.TFLITE_RUNTIME)
    assert str(caught.value) == (
        "The interpreter tflite_runtime does not run here: No module named 'tflite_runtime'; "
        "install it with: pip install tflite-runtime"
    )
