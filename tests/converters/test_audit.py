"""Files of a small network with layers in float: found by name, and held to what was asked for."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import flatbuffers
import pytest
from small_network import make_calibration, make_pictures, make_small_network

from edge_melanoma.converters.audit import (
    LARGEST_INT8_BYTES,
    Precisions,
    audit_model,
    find_precisions,
)
from edge_melanoma.converters.packing import slim_model
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.converters.tflite import Int8Converter
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.inspection import ModelFacts, inspect_model
from edge_melanoma.tflite.modes import Correction, InputOutput, Mode, Output

INTEGERS = ("stem", "depthwise", "gap", "hidden", "p_malignant")
Convert = Callable[..., bytes]


@pytest.fixture(scope="module")
def convert(tmp_path_factory: pytest.TempPathFactory) -> Convert:
    """An int8 file of the small network, each made once."""
    calibration = make_calibration(tmp_path_factory.mktemp("pictures"))

    @cache
    def converter(output: Output, io: InputOutput) -> Int8Converter:
        return Int8Converter(
            make_small_network(),
            calibration,
            ExportSettings(io=io, output=output, correction=Correction.NONE),
        )

    @cache
    def one(
        *layers: str, output: Output = Output.PROBABILITY, io: InputOutput = InputOutput.INT8
    ) -> bytes:
        return converter(output, io).convert(layers)

    return one


def audit(
    facts: ModelFacts,
    data: bytes,
    *layers: str,
    io: InputOutput = InputOutput.INT8,
    output: Output = Output.PROBABILITY,
) -> None:
    audit_model(facts, mode=Mode.INT8, io=io, output=output, float_layers=layers, data=data)


def refusal(data: bytes, *layers: str, output: Output = Output.PROBABILITY) -> str:
    with pytest.raises(EdgeMelanomaError) as caught:
        audit(inspect_model(data), data, *layers, output=output)
    return str(caught.value)


@pytest.mark.parametrize("write", [bytes, slim_model])
@pytest.mark.parametrize("io", list(InputOutput))
@pytest.mark.parametrize(
    ("layers", "output"),
    [
        (("hidden",), Output.PROBABILITY),
        (("stem", "gap"), Output.PROBABILITY),
        (("p_malignant",), Output.PROBABILITY),
        (("p_malignant",), Output.FLOAT32),
        (("p_malignant", "depthwise"), Output.FLOAT32),
        (("hidden", "logit"), Output.LOGIT),
    ],
)
def test_float_layers_are_found_and_pass_as_what_they_are(
    convert: Convert,
    layers: tuple[str, ...],
    output: Output,
    io: InputOutput,
    write: Callable[[bytes], bytes],
) -> None:
    if output is Output.LOGIT:
        # The name of the last layer is not in the file that the converter calibrates.
        data = write(convert("hidden", output=output, io=io))
    else:
        data = write(convert(*layers, output=output, io=io))
    facts = inspect_model(data)
    found = find_precisions(data, output_name=facts.output_name)
    last = "logit" if output is Output.LOGIT else "p_malignant"
    assert set(found.float_layers) == set(layers)
    assert set(found.integer_layers) == {*INTEGERS[:-1], last} - set(layers)
    assert found.loose == ()
    audit(facts, data, *layers, io=io, output=output)


@pytest.mark.parametrize("write", [bytes, slim_model])
def test_a_file_without_float_layers_has_none(
    convert: Convert, write: Callable[[bytes], bytes]
) -> None:
    found = find_precisions(write(convert()), output_name="p_malignant")
    assert found == Precisions(float_layers=(), integer_layers=INTEGERS, loose=())


@pytest.mark.parametrize("write", [bytes, slim_model])
def test_other_float_layers_than_asked_for_are_refused(
    convert: Convert, write: Callable[[bytes], bytes]
) -> None:
    hidden, score = write(convert("hidden")), write(convert("p_malignant"))
    told = "The int8 model computes hidden in float; expected "
    assert refusal(hidden, "stem") == f"{told}stem."
    assert refusal(hidden, "stem", "hidden") == f"{told}hidden, stem."
    assert refusal(hidden, "hidden", output=Output.FLOAT32) == f"{told}hidden, p_malignant."
    assert refusal(score, "hidden") == (
        "The int8 model computes p_malignant in float; expected hidden."
    )
    assert refusal(write(convert()), "hidden") == (
        "The int8 model computes nothing in float; expected hidden."
    )
    assert refusal(hidden) == "The int8 model is not wholly int8: it has tensors of float32."


def test_a_float_score_is_neither_an_integer_one_nor_the_other_way_round(convert: Convert) -> None:
    in_float = convert("p_malignant", output=Output.FLOAT32)
    assert refusal(in_float, "p_malignant") == (
        "The int8 model's output is float32; expected int8, 0.00390625 and -128."
    )
    assert refusal(convert("p_malignant"), output=Output.FLOAT32) == (
        "The int8 model's output is int8 with scale 0.00390625 and zero point -128; "
        "expected float32."
    )


def test_a_probability_is_no_logit(convert: Convert) -> None:
    assert refusal(convert(), output=Output.LOGIT) == (
        "The int8 model's output is called p_malignant; expected logit."
    )
    assert refusal(convert(output=Output.LOGIT)) == (
        "The int8 model's output is called logit; expected p_malignant."
    )


@pytest.mark.parametrize("write", [bytes, slim_model])
def test_the_score_of_a_logit_file_is_that_of_the_float_file(
    convert: Convert, write: Callable[[bytes], bytes]
) -> None:
    # Both compute up to the logit alike; then one step of the logit against a float one.
    files = {
        output: write(convert(*layers, output=output))
        for output, layers in (
            (Output.LOGIT, ("hidden",)),
            (Output.FLOAT32, ("hidden", "p_malignant")),
        )
    }
    logits, floats = (
        TFLiteSession(SessionSettings(data=data, name="small", runtime=Runtime.LITERT))
        for data in files.values()
    )
    # The sigmoid is nowhere steeper than a quarter, and rounding is by half a step.
    tolerance = logits.output_quantization.scale / 2 / 4
    scores = [(logits.score(picture), floats.score(picture)) for picture in make_pictures()[0]]
    assert max(abs(one - other) for one, other in scores) <= tolerance
    assert min(score for score, _ in scores) < 0.1
    assert max(score for score, _ in scores) > 0.9


def edited(data: bytes, edit: Callable[[Any], None]) -> bytes:
    """The file after a change to the objects that its flatbuffer is made of."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    edit(model)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_part_of_a_layer_in_integers_is_refused(convert: Convert) -> None:
    def make_logit_int8(model: Any) -> None:
        graph = model.subgraphs[0]
        dense = graph.operators[-3]  # then come the sigmoid and the step to int8
        graph.tensors[dense.outputs[0]].type = 9  # the schema's INT8

    assert refusal(edited(convert("p_malignant"), make_logit_int8), "p_malignant") == (
        "The int8 model computes a part of p_malignant in integers; expected all of it in float."
    )


def test_numbers_that_leave_int8_for_nothing_are_refused(convert: Convert) -> None:
    def add_detour(model: Any) -> None:
        graph = model.subgraphs[0]
        (step,) = (o for o in graph.operators if b"dequantize" in graph.tensors[o.outputs[0]].name)
        detour = deepcopy(graph.tensors[step.outputs[0]])
        detour.name = b"detour"
        graph.tensors.append(detour)
        another = deepcopy(step)
        another.outputs = [len(graph.tensors) - 1]
        graph.operators.append(another)

    assert refusal(edited(convert("hidden"), add_detour), "hidden") == (
        "The int8 model holds detour in float; expected float numbers around hidden alone."
    )


def test_a_file_with_float_layers_may_be_of_any_size_but_for_the_score_alone(
    convert: Convert,
) -> None:
    hidden, score = convert("hidden"), convert("p_malignant", output=Output.FLOAT32)
    large = replace(inspect_model(hidden), size_bytes=LARGEST_INT8_BYTES + 1)
    audit(large, hidden, "hidden")
    large = replace(inspect_model(score), size_bytes=LARGEST_INT8_BYTES + 1)
    with pytest.raises(EdgeMelanomaError) as caught:
        audit(large, score, output=Output.FLOAT32)
    assert str(caught.value) == "The int8 model has 2665001 bytes; expected at most 2665000."


def test_float_layers_are_of_float32_and_the_rest_of_no_other_type(convert: Convert) -> None:
    data = convert("hidden")
    facts = inspect_model(data)
    half = replace(facts, tensor_types={**facts.tensor_types, "int16": 1, "float16": 1})
    with pytest.raises(EdgeMelanomaError) as caught:
        audit(half, data, "hidden")
    assert str(caught.value) == (
        "The int8 model is not wholly int8: it has tensors of float16, int16."
    )
