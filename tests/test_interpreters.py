"""Models in interpreters and child processes: the same scores however many, and clean deaths."""

import importlib
import multiprocessing
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from edge_melanoma.artifacts import TrainedModel
from edge_melanoma.child_process import run_in_child
from edge_melanoma.classifiers import (
    CHUNK_SIZE,
    TFLiteClassifier,
    choose_runtime,
    probe_runtime,
    score_with_integers,
)
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.images import read_image
from edge_melanoma.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtimes import Runtime

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


def classifier(data: bytes, *, workers: int) -> TFLiteClassifier:
    return TFLiteClassifier(data, name="a.tflite", runtime=Runtime.LITERT, workers=workers)


def empty_model(*, shape: list[int]) -> bytes:
    """A valid graph without operators whose float32 input of `shape` is its output."""
    schema = importlib.import_module("ai_edge_litert.schema_py_generated")
    tensor, graph, model = schema.TensorT(), schema.SubGraphT(), schema.ModelT()
    tensor.shape, tensor.type = shape, schema.TensorType.FLOAT32
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [0], []
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    model.operatorCodes = []
    builder = importlib.import_module("flatbuffers").Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_int8_scores_are_whole_256ths_and_differ(int8_model: bytes, paths: list[Path]) -> None:
    with classifier(int8_model, workers=1) as one:
        scores = np.array(list(one.stream_scores(paths)))
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
        with classifier(int8_model, workers=workers) as several:
            assert list(several.stream_scores(paths)) == expected
            assert several.malignant_scores(pictures).tolist() == expected


def test_no_pictures_have_no_scores(int8_model: bytes) -> None:
    with classifier(int8_model, workers=1) as one:
        assert list(one.stream_scores([])) == []
        assert one.malignant_scores(np.zeros((0, 224, 224, 3), np.uint8)).shape == (0,)


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
    integers, floats = (
        score_with_integers(
            SessionSettings(data=data, name="a.tflite", runtime=Runtime.LITERT), paths[:3]
        )
        for data in (int8_model, float32)
    )
    assert [score for score, _ in integers] == [
        (integer + 128) / 256 for _, integer in integers if integer is not None
    ]
    assert [integer for _, integer in floats] == [None] * 3


def test_a_text_in_place_of_a_model_is_refused_in_one_sentence(paths: list[Path]) -> None:
    sentence = (
        "The interpreter ai_edge_litert refuses notes.tflite: "
        "The model is not a valid Flatbuffer buffer."
    )
    settings = SessionSettings(data=TEXT, name="notes.tflite", runtime=Runtime.LITERT)
    with pytest.raises(EdgeMelanomaError) as caught:
        TFLiteSession(settings)
    assert str(caught.value) == sentence
    # The same through a pool, where the child keeps the refusal until it is asked for scores.
    with (
        TFLiteClassifier(TEXT, name="notes.tflite", runtime=Runtime.LITERT, workers=1) as broken,
        pytest.raises(EdgeMelanomaError) as passed_on,
    ):
        list(broken.stream_scores(paths[:1]))
    assert str(passed_on.value) == sentence


@pytest.mark.parametrize("shape", [[1, 96, 96, 3], [2, 224, 224, 3], [1, 224, 224, 3]])
def test_a_model_of_other_shapes_is_no_lesion_classifier(shape: list[int]) -> None:
    data = empty_model(shape=shape)
    with pytest.raises(EdgeMelanomaError) as caught:
        TFLiteSession(SessionSettings(data=data, name="faces.tflite", runtime=Runtime.LITERT))
    assert str(caught.value) == (
        "faces.tflite is not a lesion classifier: expected one input of shape (1, 224, 224, 3) "
        "and one output with one value, P(malignant)."
    )


def test_a_picture_that_cannot_be_read_is_named_by_the_parent(
    int8_model: bytes, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.png"
    with classifier(int8_model, workers=1) as one, pytest.raises(EdgeMelanomaError) as caught:
        list(one.stream_scores([missing]))
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
    with classifier(int8_model, workers=1) as one:
        assert len(list(one.stream_scores(paths[:1]))) == 1
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        with pytest.raises(EdgeMelanomaError) as caught:
            list(one.stream_scores(paths))
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
