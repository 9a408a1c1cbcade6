"""The second output that shows where a network looked."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import make_calibration

from edge_melanoma.converters.model_info import BundledModel, describe_models
from edge_melanoma.converters.packing import slim_model
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.data.crops import Crop
from edge_melanoma.data.images import scale_pixels
from edge_melanoma.data.phantoms import draw_phantom
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.bundled import bundled_run
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.modes import Backend, Correction, Mode


@pytest.fixture(scope="module")
def network() -> Any:
    from edge_melanoma.network.network import load_network

    return load_network(bundled_run())


@pytest.fixture(scope="module")
def files(network: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The float16 file without the map and with it, as an export writes them."""
    from edge_melanoma.converters.tflite import convert_network

    calibration = make_calibration(tmp_path_factory.mktemp("small"))
    plain, mapped = (
        convert_network(
            network,
            Mode.FLOAT16,
            calibration=calibration,
            settings=ExportSettings(correction=Correction.NONE, with_map=with_map),
        )
        for with_map in (False, True)
    )
    return slim_model(plain), slim_model(mapped)


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    return np.stack([draw_phantom(is_malignant=seed % 2 == 1, seed=seed) for seed in range(6)])


def run_mapped(data: bytes, pictures: NDArray[np.uint8]) -> Any:
    """Scores (n, 1) and maps (n, 7, 7) as an interpreter of LiteRT gives them, in this order."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    ends = interpreter.get_output_details()
    found = []
    for picture in scale_pixels(pictures):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[np.newaxis])
        interpreter.invoke()
        found.append([interpreter.get_tensor(end["index"])[0] for end in ends])
    return [np.stack(values) for values in zip(*found, strict=True)]


def test_the_score_is_the_same_to_the_last_bit(
    files: tuple[bytes, bytes], pictures: NDArray[np.uint8]
) -> None:
    plain, mapped = (
        TFLiteSession(SessionSettings(data=data, name="float16", runtime=Runtime.LITERT))
        for data in files
    )
    scores = [plain.score(picture) for picture in pictures]
    assert [mapped.score(picture) for picture in pictures] == scores
    assert len(set(scores)) == len(scores)


def test_the_map_adds_operators_and_no_constants(files: tuple[bytes, bytes]) -> None:
    assert 0 < len(files[1]) - len(files[0]) < 5000
    assert inspect_model(files[1]).output_name == "p_malignant"


def test_an_app_is_told_of_the_map(files: tuple[bytes, bytes]) -> None:
    models = [
        BundledModel(file="f.tflite", data=data, threshold=0.5, threshold_integer=None)
        for data in files
    ]
    told = describe_models(models, bundled_run(), crop=Crop.NONE, operating_point={})["models"]
    assert "activation_map" not in told[0]
    assert told[1]["activation_map"]["shape"] == [1, 7, 7]
    assert {**told[1], "activation_map": None} == {**told[0], "activation_map": None}


def test_the_mean_of_a_map_is_the_logit_but_for_biases(
    network: Any, files: tuple[bytes, bytes], pictures: NDArray[np.uint8]
) -> None:
    from edge_melanoma.machine.tensorflow import tf_keras

    scores, maps = run_mapped(files[1], pictures)
    hidden = network.get_layer("hidden")
    active = tf_keras.Model(network.input, hidden.output)(scale_pixels(pictures)).numpy() > 0
    kernel, bias = network.get_layer("p_malignant").get_weights()
    biases = active @ (hidden.get_weights()[1][:, np.newaxis] * kernel) + bias
    logits = np.log(scores) - np.log1p(-scores)
    assert maps.shape == (6, 7, 7)
    np.testing.assert_allclose(maps.mean(axis=(1, 2))[:, None] + biases, logits, atol=0.02)
    assert np.abs(logits - biases).max() > 0.2


def test_the_map_is_what_gradients_say(
    network: Any, files: tuple[bytes, bytes], pictures: NDArray[np.uint8]
) -> None:
    from edge_melanoma.card.failures import heat_maps

    heats = heat_maps(network, pictures, for_malignant=True)
    for heat, seen in zip(heats, run_mapped(files[1], pictures)[1], strict=True):
        centres = heat.reshape(7, 32, 7, 32)[:, 15:17, :, 15:17].mean(axis=(1, 3))
        assert np.corrcoef(centres.ravel(), np.maximum(seen, 0).ravel())[0, 1] > 0.99


@pytest.mark.parametrize("backend", list(Backend))
def test_a_map_is_refused_where_it_cannot_be_made(backend: Backend) -> None:
    settings = ExportSettings(with_map=True, backend=backend)
    modes = (Mode.INT8,) if backend is Backend.CONVERTER else (Mode.FLOAT16,)
    with pytest.raises(EdgeMelanomaError, match="--with-map is for the float16 model"):
        settings.refuse_contradictions(modes)


def test_the_manifest_tells_of_the_map_in_its_own_mode_only() -> None:
    settings = ExportSettings(with_map=True)
    assert settings.of_mode(Mode.FLOAT16)["with_map"] is True
    assert "with_map" not in settings.of_mode(Mode.INT8)
