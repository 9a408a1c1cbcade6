"""Operators timed one by one: each is run, and what is computed more takes more."""

from pathlib import Path

import pytest
from small_network import make_calibration

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.modes import Mode
from edge_melanoma.tflite.operator_times import shares_of_time


@pytest.mark.parametrize("mode", [Mode.FLOAT32, Mode.FLOAT16, Mode.DYNAMIC, Mode.INT8])
def test_every_kind_of_operator_has_its_share(mode: Mode, tmp_path: Path) -> None:
    from small_network import make_sound_network

    from edge_melanoma.converters.tflite import convert_network

    data = convert_network(make_sound_network(), mode, calibration=make_calibration(tmp_path))
    shares = shares_of_time(data, name="small")
    assert shares.keys() == inspect_model(data).operators.keys()
    assert sum(shares.values()) == pytest.approx(1)
    # Weights that are kept in half precision are made whole when the file is loaded.
    assert all(share > 0 for kind, share in shares.items() if kind != "DEQUANTIZE")


def test_a_wide_layer_takes_more_than_a_narrow_one() -> None:
    from edge_melanoma.converters.tflite import convert_network
    from edge_melanoma.machine.tensorflow import tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((64, 64, 3), name="image")
    wide = layers.Conv2D(64, 3, name="wide")(image)
    score = layers.Dense(1, name="p_malignant")(layers.GlobalAveragePooling2D(name="gap")(wide))
    data = convert_network(tf_keras.Model(image, score), Mode.FLOAT32)
    shares = shares_of_time(data, name="two")
    # 3.3 million products beside 64.
    assert shares["CONV_2D"] > 10 * shares["FULLY_CONNECTED"]


def test_what_is_no_model_is_told() -> None:
    with pytest.raises(EdgeMelanomaError, match=r"^The model a\.tflite cannot be timed"):
        shares_of_time(b"no model at all", name="a.tflite")
