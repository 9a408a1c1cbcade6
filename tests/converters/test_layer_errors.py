"""Which layer an operator computes, how far int8 takes it from float, and how that is shown."""

import csv
import io
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_network import make_calibration, make_pictures, make_small_network

from edge_melanoma.converters.layer_errors import (
    LayerError,
    draw_layer_errors,
    find_operators,
    measure_layer_errors,
)
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.machine.files import rows_to_csv
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.tflite.modes import Correction, Mode
from edge_melanoma.tflite.quantization import GATE_NAME, LOGIT_NAME, SCORE_NAME

KERNEL_LAYERS = {
    "Conv2D": "CONV_2D",
    "DepthwiseConv2D": "DEPTHWISE_CONV_2D",
    "Dense": "FULLY_CONNECTED",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Mode, bytes]:
    """The small network as it is and in int8, uncorrected."""
    from edge_melanoma.converters.tflite import convert_network

    calibration = make_calibration(tmp_path_factory.mktemp("small"))
    return {
        mode: convert_network(
            make_small_network(),
            mode,
            calibration=calibration,
            settings=ExportSettings(correction=Correction.NONE),
        )
        for mode in (Mode.FLOAT32, Mode.INT8)
    }


@pytest.fixture(scope="module")
def errors(files: dict[Mode, bytes]) -> dict[tuple[str, str], LayerError]:
    # Backwards, so that the largest error of the score, the greenest picture's, comes first.
    pictures = make_pictures()[0][::-1]
    measured = measure_layer_errors(files[Mode.FLOAT32], files[Mode.INT8], pictures)
    assert [e.sqnr_db for e in measured] == sorted(e.sqnr_db for e in measured)
    return {(error.layer, error.operator): error for error in measured}


def made_error(layer: str, sqnr_db: float) -> LayerError:
    return LayerError(
        layer=layer,
        operator="CONV_2D",
        cosine=0.5,
        sqnr_db=sqnr_db,
        largest_absolute=1.5,
        scale=0.25,
    )


@pytest.mark.parametrize("mode", ["float32", "int8"])
def test_every_layer_with_a_kernel_is_one_operator_in_the_network_s_order(
    exported_run: TrainedModel, mode: str
) -> None:
    from edge_melanoma.network.network import load_network

    network = load_network(exported_run)
    expected = [
        (layer.name, KERNEL_LAYERS[type(layer).__name__])
        for layer in network.layers
        if type(layer).__name__ in KERNEL_LAYERS
    ]
    data = (exported_run.exports_folder / f"model_{mode}.tflite").read_bytes()
    operators = find_operators(data)
    found = [(o.layer, o.kind) for o in operators if o.kind in KERNEL_LAYERS.values()]
    # An int8 file ends in two layers: its logit is a tensor of its own range.
    last = {"float32": SCORE_NAME, "int8": LOGIT_NAME}[mode]
    gate = [(layer, kind) for layer, kind in found if layer == GATE_NAME]
    assert [one for one in found if one not in gate] == [
        *expected[:-1],
        (last, "FULLY_CONNECTED"),
    ]
    assert len(expected) == 54


def test_sums_pooling_and_the_nameless_sigmoid_have_their_layers(
    exported_run: TrainedModel,
) -> None:
    data = (exported_run.exports_folder / "model_int8.tflite").read_bytes()
    others = [(o.layer, o.kind) for o in find_operators(data)]
    sums = [f"block_{number}_add" for number in (2, 4, 5, 7, 8, 9, 11, 12, 14, 15)]
    assert [layer for layer, kind in others if kind == "ADD"] == sums
    assert others[-1] == ("p_malignant", "LOGISTIC")
    assert ("gap", "MEAN") in others


def test_a_step_between_float_and_int8_is_no_operator_of_a_layer(
    files: dict[Mode, bytes], tmp_path: Path
) -> None:
    from edge_melanoma.converters.tflite import convert_network

    data = convert_network(
        make_small_network(),
        Mode.INT8,
        calibration=make_calibration(tmp_path),
        settings=ExportSettings(correction=Correction.NONE),
    )
    names = [(o.layer, o.kind) for o in find_operators(data)]
    assert names == [(o.layer, o.kind) for o in find_operators(files[Mode.INT8])]


def test_a_file_has_no_error_against_itself(files: dict[Mode, bytes]) -> None:
    data = files[Mode.FLOAT32]
    for error in measure_layer_errors(data, data, make_pictures()[0][:2]):
        assert (error.sqnr_db, error.largest_absolute, error.scale) == (math.inf, 0.0, 0.0)
        assert error.cosine == pytest.approx(1.0, rel=0, abs=1e-15)


def test_the_pooling_is_off_by_no_more_than_the_steps_before_it(
    errors: dict[tuple[str, str], LayerError],
) -> None:
    error = errors[("gap", "MEAN")]
    # Half a step at each of stem, depthwise and gap itself, whose ranges are the same colours;
    # a thousandth for kernels of 1 whose requantisation is rounded.
    assert 0 < error.largest_absolute <= 1.5 * error.scale + 1e-3
    assert error.sqnr_db > 40


def test_the_score_s_error_is_that_of_a_constant(
    errors: dict[tuple[str, str], LayerError],
) -> None:
    error = errors[("p_malignant", "LOGISTIC")]
    pictures, _ = make_pictures()
    # Two batch norms of epsilon 0.001 divide green by 1.001.
    greens = pictures[:, 0, 0, 1] / 255 / 1.001
    expected = 1 / (1 + np.exp(9 - 18 * greens))
    # hidden is 0 in int8 as green's weight is: the score is sigmoid(-9), which rounds to 0.
    assert error.sqnr_db == pytest.approx(0, abs=1e-9)
    assert error.largest_absolute == pytest.approx(expected.max(), abs=1e-4)
    assert (error.cosine, error.scale) == (0.0, 1 / 256)


def test_cosine_and_noise_are_those_of_all_pictures_together(
    files: dict[Mode, bytes], errors: dict[tuple[str, str], LayerError]
) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    pictures, _ = make_pictures()
    outputs: dict[Mode, Any] = {}
    for mode, data in files.items():
        interpreter = Interpreter(
            model_content=data,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        index = next(o.tensor_index for o in find_operators(data) if o.layer == "gap")
        details = next(d for d in interpreter.get_tensor_details() if d["index"] == index)
        scale, zero = details["quantization"] if mode is Mode.INT8 else (1.0, 0)
        values = []
        for picture in pictures:
            entered = picture / np.float32(255) if mode is Mode.FLOAT32 else picture - 128.0
            dtype = np.float32 if mode is Mode.FLOAT32 else np.int8
            interpreter.set_tensor(0, entered[np.newaxis].astype(dtype))
            interpreter.invoke()
            values.append((interpreter.get_tensor(index).astype(np.float64) - zero) * scale)
        outputs[mode] = np.concatenate(values).ravel()
    before, after = outputs[Mode.FLOAT32], outputs[Mode.INT8]
    error = errors[("gap", "MEAN")]
    noise = ((before - after) ** 2).sum()
    cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    # Reference kernels sum in another order: the last digits of 50 dB and of a cosine near 1.
    assert error.sqnr_db == pytest.approx(10 * np.log10((before**2).sum() / noise), abs=1e-2)
    assert error.cosine == pytest.approx(cosine, rel=0, abs=1e-7)


def test_files_of_other_layers_are_refused(
    exported_run: TrainedModel, files: dict[Mode, bytes]
) -> None:
    other = (exported_run.exports_folder / "model_int8.tflite").read_bytes()
    with pytest.raises(ValueError, match="differ in their operators"):
        measure_layer_errors(files[Mode.FLOAT32], other, make_pictures()[0])


def test_the_table_is_a_line_an_operator_and_reads_back() -> None:
    text = rows_to_csv([asdict(made_error("stem", 1 / 3)), asdict(made_error("gap", math.inf))])
    assert text.splitlines()[0] == "layer,operator,cosine,sqnr_db,largest_absolute,scale"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["layer"], float(row["sqnr_db"])) for row in rows] == [
        ("stem", 1 / 3),
        ("gap", math.inf),
    ]


def test_bars_are_as_long_as_their_ratio_and_coloured_by_it(tmp_path: Path) -> None:
    errors = [made_error("poor", 8.0), made_error("fair", 16.0), made_error("good", 32.0)]
    path = draw_layer_errors(errors, tmp_path / "errors.png", title="a$^$b")
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    lengths = []
    for colour in ([0xD5, 0x5E, 0x00], [0xE6, 0x9F, 0x00], [0x00, 0x72, 0xB2]):
        rows = (pixels == colour).all(axis=2).sum(axis=1)
        lengths.append(float(np.median(rows[rows > 0])))
    # The axis and smoothing take up to two dots at each end; grid lines, one dot each, cross bars.
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=12)
    assert lengths[2] == pytest.approx(4 * lengths[0], abs=20)
    assert lengths[0] > 50


def test_many_layers_make_a_high_picture_and_endless_ratios_are_drawn(tmp_path: Path) -> None:
    heights = []
    for count in (20, 70):
        ratios = [-math.inf, -3.0, *range(count - 3), math.inf]
        errors = [made_error(f"layer_{number}", ratio) for number, ratio in enumerate(ratios)]
        path = draw_layer_errors(errors, tmp_path / f"{count}.png", title="small, int8")
        with Image.open(path) as image:
            heights.append(image.height)
    # 0.16 inches a layer at 120 dots an inch.
    assert heights[1] - heights[0] == pytest.approx(50 * 0.16 * 120, abs=2)
