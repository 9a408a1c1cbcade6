"""Files from elsewhere are fed with the numbers that they want, and their outputs are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tflite_files import one_layer_model

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import explain_equal, explain_reversed
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.ends import RANGES, Ends, read_labels, read_normalization
from edge_melanoma.tflite.quantization import TensorQuantization
from edge_melanoma.tflite.verification import check_model

Run = Callable[..., Any]
TYPES = ("int8", "uint8", "float32")
GREYS = (0, 128, 255)


def open_session(data: bytes, ends: Ends | None = None) -> TFLiteSession:
    check_model(data)
    return TFLiteSession(
        SessionSettings(data=data, name="a.tflite", runtime=Runtime.LITERT, ends=ends or Ends())
    )


def scores_of_greys(session: TFLiteSession) -> list[float]:
    side = session.image_size
    return [session.score(np.full((side, side, 3), level, np.uint8)) for level in GREYS]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", RANGES)
def test_white_scores_1_and_black_0_whatever_the_input_takes(name: str, dtype: str) -> None:
    range_ = RANGES[name]
    data = one_layer_model(range_, dtype=dtype)
    ends = Ends(input_range=range_ if dtype == "float32" else None)
    found = scores_of_greys(open_session(data, ends))
    np.testing.assert_allclose(found, [0, 128 / 255, 1], atol=0.006)


@pytest.mark.parametrize("name", RANGES)
def test_a_float_input_is_fed_by_the_metadata(name: str) -> None:
    low, high = RANGES[name]
    deviation = 255 / (high - low)
    normalised = (-low * deviation, deviation)
    data = one_layer_model((low, high), dtype="float32", normalised=normalised)
    assert read_normalization(data) == pytest.approx((low, high))
    np.testing.assert_allclose(scores_of_greys(open_session(data)), [0, 128 / 255, 1], atol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_grey_level_stays_another_number_in_minus_1_to_1(dtype: str) -> None:
    for zero_point in (-1, 0):
        shifted = zero_point + (128 if dtype == "uint8" else 0)
        tensor = TensorQuantization(dtype=dtype, scale=2 / 255, zero_point=shifted)
        table = tensor.pixel_table(black=-1.0, white=1.0)
        assert len(set(table.tolist())) >= 255
        assert np.abs(tensor.dequantize(table) - np.linspace(-1, 1, 256)).max() <= 2 / 255


def test_integers_of_another_range_are_refused_with_it() -> None:
    data = one_layer_model((-2.0, 2.5), dtype="int8")
    with pytest.raises(EdgeMelanomaError) as caught:
        open_session(data)
    assert str(caught.value) == (
        "a.tflite has an input for int8 numbers from -1.994 to 2.506; expected one of the ranges "
        "0..1, -1..1, 0..255."
    )
    with pytest.raises(EdgeMelanomaError, match=r"and that of --input-range\.$"):
        open_session(one_layer_model((0, 1), dtype="int8"), Ends(input_range=RANGES["-1..1"]))


@pytest.mark.parametrize("dtype", TYPES)
def test_of_several_outputs_the_malignant_ones_are_summed(dtype: str) -> None:
    """Logits of 0, 2 x white and 1, so that softmax is known."""
    data = one_layer_model((0.0, 1.0), dtype=dtype, logits=([0, 2, 0], [0, 0, 1]), softmax=True)
    found = scores_of_greys(open_session(data, Ends(malignant=("1", "2"))))
    powers = [np.exp([0, 2 * level / 255, 1]) for level in GREYS]
    expected = [float((power[1] + power[2]) / power.sum()) for power in powers]
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_outputs_that_are_logits_are_told_by_the_option() -> None:
    settings: dict[str, Any] = {"dtype": "float32", "logits": ([0, 3], [1, 0])}
    data = one_layer_model((0.0, 1.0), **settings)
    with pytest.raises(EdgeMelanomaError, match=r"gave 1, 1.50588, which is no .*--logit"):
        scores_of_greys(open_session(data, Ends(malignant=("1",))))
    found = scores_of_greys(open_session(data, Ends(malignant=("1",), is_logit=True)))
    expected = [1 / (1 + np.exp(1 - 3 * level / 255)) for level in GREYS]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_labels_of_the_file_name_its_outputs() -> None:
    settings: dict[str, Any] = {"dtype": "float32", "logits": ([0, 2, 0], [0, 0, 1])}
    data = one_layer_model((0.0, 1.0), **settings, softmax=True, labels="nv\nmel\nbcc\n")
    assert read_labels(data) == ("nv", "mel", "bcc")
    by_name, by_number = (
        scores_of_greys(open_session(data, Ends(malignant=words)))
        for words in (("mel", "bcc"), ("1", "2"))
    )
    assert by_name == by_number
    with pytest.raises(EdgeMelanomaError) as caught:
        open_session(data)
    assert str(caught.value) == (
        "a.tflite has 3 outputs, nv, mel, bcc; say which of them are malignant with "
        "--malignant-index N[,N], counted from 0."
    )
    for words in (("mole",), ("0", "1", "2"), ("3",)):
        with pytest.raises(EdgeMelanomaError, match="is to name some of them, and not all"):
            open_session(data, Ends(malignant=words))


def test_nan_is_told_with_what_it_usually_means() -> None:
    data = one_layer_model((0.0, 1.0), dtype="float32", logits=([np.nan], [0]))
    with pytest.raises(EdgeMelanomaError, match=r"gave nan, .* weights that overflowed"):
        scores_of_greys(open_session(data))


def test_predict_and_evaluate_tell_what_is_assumed_and_what_cannot_be(
    tmp_path: Path, edge_melanoma: Run
) -> None:
    folder = tmp_path / "data"
    for number, level in enumerate((10, 60, 200, 250)):
        place = folder / ("malignant" if number < 2 else "benign") / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (level, level, level)).save(place)
    pictures = sorted(folder.rglob("*.png"))
    path = tmp_path / "a.tflite"
    path.write_bytes(one_layer_model((0.0, 1.0), dtype="float32"))
    told = edge_melanoma("predict", path, *pictures)
    assert told.exit_code == 0
    assert "a.tflite does not state what its float input takes" in told.stderr
    said = edge_melanoma("predict", path, *pictures, "--input-range", "0..1")
    assert "does not state what its float" not in said.stderr
    assert said.stdout == told.stdout
    wrong = edge_melanoma("predict", path, *pictures, "--input-range", "0..2")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert wrong.stderr == (
        "edge-melanoma: --input-range 0..2 is none; expected 0..1, -1..1, 0..255.\n"
    )
    path.write_bytes(one_layer_model((0.0, 1.0), dtype="float32", logits=([0], [0.25])))
    flat = edge_melanoma("evaluate", path, "--data", folder)
    assert "All 4 pictures have the same score, 0.25: usually" in flat.stderr
    export = edge_melanoma("predict", "bundled", pictures[0], "--logit")
    assert export.exit_code == 2
    assert "tells itself how it is to be read" in export.stderr


def test_scores_that_cannot_be_meant_are_explained() -> None:
    assert list(explain_equal([0.5])) == []
    assert list(explain_equal([0.5, 0.6])) == []
    assert len(list(explain_equal([0.5, 0.5]))) == 1
    intervals: list[tuple[Any, int]] = [((0.1, 0.4), 1), ((0.4, 0.6), 0), (None, 0)]
    for interval, count in intervals:
        told = list(explain_reversed({"intervals": {"auc": interval}}))
        assert len(told) == count
