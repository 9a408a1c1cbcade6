"""What an int8 file may give: a probability, a logit or a float, each by its name and its steps."""

from dataclasses import replace
from typing import Any

import pytest
from tflite_files import mean_model

from edge_melanoma.converters.audit import audit_model
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.inspection import ModelFacts, inspect_model
from edge_melanoma.tflite.modes import InputOutput, Mode, Output
from edge_melanoma.tflite.quantization import LOGIT_NAME, SCORE_NAME, TensorQuantization

INPUT = TensorQuantization(dtype="int8", scale=1 / 255, zero_point=-128)
FLOAT = TensorQuantization(dtype="float32", scale=0.0, zero_point=0)
LOGIT = ModelFacts(
    size_bytes=2_665_000,
    operators={"CONV_2D": 1},
    tensor_types={"int8": 3, "int32": 1},
    input=INPUT,
    output=TensorQuantization(dtype="int8", scale=0.07, zero_point=11),
    input_shape=(1, 224, 224, 3),
    output_name="logit",
)
SMALL = replace(
    LOGIT,
    output=TensorQuantization(dtype="int8", scale=1 / 256, zero_point=-128),
    output_name="p_malignant",
)


def refusal(
    facts: ModelFacts,
    *,
    mode: Mode = Mode.INT8,
    io: InputOutput,
    output: Output = Output.PROBABILITY,
) -> str:
    with pytest.raises(EdgeMelanomaError) as caught:
        audit_model(facts, mode=mode, io=io, output=output)
    return str(caught.value)


def test_the_names_of_the_output_are_those_of_the_last_layers() -> None:
    assert (LOGIT_NAME, SCORE_NAME) == (LOGIT_NAME, SCORE_NAME)


@pytest.mark.parametrize(
    ("tensor", "signature", "name"),
    [
        ("PartitionedCall:0", "logit", "logit"),
        ("logit", "p_malignant", "p_malignant"),
        ("logit", None, "logit"),
        ("", None, ""),
    ],
)
def test_the_signatures_name_of_the_output_counts_before_the_tensors(
    tensor: str, signature: str | None, name: str
) -> None:
    assert inspect_model(mean_model(tensor=tensor, signature=signature)).output_name == name


@pytest.mark.parametrize("zero_point", [-128, 11, 127])
def test_a_logit_may_have_any_steps_around_0(zero_point: int) -> None:
    facts = replace(LOGIT, output=replace(LOGIT.output, zero_point=zero_point))
    audit_model(facts, mode=Mode.INT8, io=InputOutput.INT8, output=Output.LOGIT)


EXPECTED_LOGIT = "expected int8, a finite scale above 0 and a zero point of -128..127."


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            replace(LOGIT, output_name="p_malignant"),
            "The int8 model's output is called p_malignant; expected logit.",
        ),
        (
            replace(LOGIT, output=replace(LOGIT.output, scale=0.0)),
            "The int8 model's output is int8 with scale 0 and zero point 11; " + EXPECTED_LOGIT,
        ),
        (
            replace(LOGIT, output=replace(LOGIT.output, scale=float("inf"))),
            "The int8 model's output is int8 with scale inf and zero point 11; " + EXPECTED_LOGIT,
        ),
        (
            replace(LOGIT, output=replace(LOGIT.output, zero_point=128)),
            "The int8 model's output is int8 with scale 0.07 and zero point 128; " + EXPECTED_LOGIT,
        ),
        (
            replace(LOGIT, output=replace(LOGIT.output, dtype="uint8")),
            "The int8 model's output is uint8 with scale 0.07 and zero point 11; " + EXPECTED_LOGIT,
        ),
        (
            replace(LOGIT, input=replace(INPUT, zero_point=-127)),
            "The int8 model's input is int8 with scale 0.00392157 and zero point -127; "
            "expected int8, 0.00392157 and -128.",
        ),
    ],
)
def test_a_logit_without_steps_around_0_is_refused(facts: ModelFacts, sentence: str) -> None:
    assert refusal(facts, io=InputOutput.INT8, output=Output.LOGIT) == sentence


def test_a_logit_in_bytes_has_the_zero_points_of_bytes() -> None:
    unsigned = TensorQuantization(dtype="uint8", scale=1 / 255, zero_point=0)
    steps = replace(LOGIT.output, dtype="uint8")
    facts = replace(LOGIT, input=unsigned, output=replace(steps, zero_point=139))
    audit_model(facts, mode=Mode.INT8, io=InputOutput.UINT8, output=Output.LOGIT)
    below = replace(facts, output=replace(steps, zero_point=-1))
    assert refusal(below, io=InputOutput.UINT8, output=Output.LOGIT) == (
        "The int8 model's output is uint8 with scale 0.07 and zero point -1; "
        "expected uint8, a finite scale above 0 and a zero point of 0..255."
    )


def test_trained_int8_is_held_to_the_same_and_named() -> None:
    audit_model(SMALL, mode=Mode.INT8_QAT, io=InputOutput.INT8)
    large = replace(SMALL, size_bytes=2_665_001)
    assert refusal(large, mode=Mode.INT8_QAT, io=InputOutput.INT8) == (
        "The int8-qat model has 2665001 bytes; expected at most 2665000."
    )


def test_what_an_int8_model_gives_counts_for_int8_alone() -> None:
    facts = replace(SMALL, input=FLOAT, output=FLOAT, tensor_types={"float32": 9})
    audit_model(facts, mode=Mode.FLOAT16, io=InputOutput.UINT8, output=Output.LOGIT)


@pytest.mark.parametrize("asked", [{"float_layers": ["hidden"]}, {"output": Output.FLOAT32}])
def test_float_layers_cannot_be_audited_without_the_file(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="are read from the file, which is not given"):
        audit_model(SMALL, mode=Mode.INT8, io=InputOutput.INT8, **asked)
