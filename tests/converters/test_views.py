"""Eight flips and turns inside the network and inside its files, and their mean as the score."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import make_calibration

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.data.images import scale_pixels
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.modes import Correction, Mode

PICTURES = np.random.default_rng(5).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)


def views_of(picture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """All flips and quarter turns, made by NumPy."""
    return [np.rot90(one, turns) for one in (picture, picture[:, ::-1]) for turns in range(4)]


@pytest.fixture(scope="module")
def network() -> Any:
    """It looks at one corner and one edge, so that its views differ."""
    from edge_melanoma.machine.tensorflow import tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((224, 224, 3), name="image")
    value = layers.Conv2D(3, 1, strides=2, use_bias=False, name="stem")(image)
    value = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_BN")(value))
    value = layers.Cropping2D(((0, 90), (0, 40)), name="corner")(value)
    value = layers.GlobalAveragePooling2D(name="gap")(value)
    value = layers.Dense(4, activation="relu", name="hidden")(value)
    score = layers.Dense(1, activation="sigmoid", name="p_malignant")(value)
    network = tf_keras.Model(image, score, name="edge_melanoma")
    random = np.random.default_rng(1)
    network.set_weights(
        [np.abs(random.normal(1, 0.3, w.shape)).astype(np.float32) for w in network.get_weights()]
    )
    weights, bias = network.get_layer("p_malignant").get_weights()
    weights *= np.array([[8], [-8], [8], [-8]], np.float32)
    network.get_layer("p_malignant").set_weights([weights, bias])
    return network


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> CalibrationSet:
    return make_calibration(tmp_path_factory.mktemp("views"))


def session_of(network: Any, mode: Mode, calibration: CalibrationSet) -> TFLiteSession:
    from edge_melanoma.converters.tflite import convert_network

    settings = ExportSettings(correction=Correction.NONE, views=8)
    data = convert_network(network, mode, calibration=calibration, settings=settings)
    return TFLiteSession(SessionSettings(data=data, name="views", runtime=Runtime.LITERT))


def test_the_score_is_the_mean_over_all_flips_and_turns(network: Any) -> None:
    from edge_melanoma.network.network import compile_forward

    one, eight = compile_forward(network), compile_forward(network, views=8)
    expected = [one(scale_pixels(np.stack(views_of(p)))).mean() for p in PICTURES]
    found = eight(scale_pixels(PICTURES))
    assert found.shape == (3, 1)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)
    assert one(scale_pixels(np.stack(views_of(PICTURES[0])))).std() > 0


@pytest.mark.parametrize("mode", [Mode.FLOAT32, Mode.FLOAT16, Mode.INT8])
def test_a_file_gives_the_network_s_score_for_every_view(
    mode: Mode, network: Any, calibration: CalibrationSet
) -> None:
    from edge_melanoma.network.network import compile_forward

    session = session_of(network, mode, calibration)
    expected = compile_forward(network, views=8)(scale_pixels(PICTURES))[:, 0]
    scores = np.array([[session.score(view) for view in views_of(p)] for p in PICTURES])
    tolerance = 0.05 if mode is Mode.INT8 else 1e-3
    np.testing.assert_allclose(scores[:, 0], expected, atol=tolerance)
    if mode is Mode.INT8:
        assert np.all(scores == scores[:, :1])
    else:
        np.testing.assert_allclose(scores, scores[:, [0] * 8], atol=1e-5)


def test_int8_views_need_no_float_operator(network: Any, calibration: CalibrationSet) -> None:
    from edge_melanoma.converters.layer_errors import find_operators
    from edge_melanoma.converters.tflite import convert_network

    settings = ExportSettings(correction=Correction.NONE, views=8)
    data = convert_network(network, Mode.INT8, calibration=calibration, settings=settings)
    operators = find_operators(data)
    assert not [operator for operator in operators if operator.is_float]
    assert {"REVERSE_V2", "TRANSPOSE", "AVERAGE_POOL_2D"} <= {one.kind for one in operators}


def test_a_second_output_is_that_of_the_picture_as_it_is(network: Any) -> None:
    from edge_melanoma.machine.tensorflow import tf, tf_keras
    from edge_melanoma.network.network import infer

    both = tf_keras.Model(network.input, [network.output, network.get_layer("gap").output])
    inputs = tf.constant(scale_pixels(PICTURES))
    score, pooled = infer(both, inputs, views=8)
    assert score.shape == (3, 1)
    np.testing.assert_allclose(pooled, infer(both, inputs, views=1)[1], rtol=1e-6)


def test_a_run_without_the_word_has_one_view(tmp_path: Path) -> None:
    from edge_melanoma.runs.models import TrainedModel

    run = TrainedModel(folder=tmp_path, variant="frozen", manifest={"recipe": {}}, sha256="")
    assert run.views == 1
    assert (
        TrainedModel(
            folder=tmp_path, variant="best", manifest={"recipe": {"views": 8}}, sha256=""
        ).views
        == 8
    )
