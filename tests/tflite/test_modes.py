"""The modes by name, and what each does to weights and activations."""

from itertools import permutations

import pytest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.modes import Backend, InputOutput, Mode, Output, parse_modes


def test_float32_is_always_there() -> None:
    assert parse_modes([]) == (Mode.FLOAT32,)
    assert parse_modes(["int8"]) == (Mode.FLOAT32, Mode.INT8)


def test_none_is_another_name_of_float32() -> None:
    assert parse_modes(["none"]) == parse_modes(["float32"]) == (Mode.FLOAT32,)


@pytest.mark.parametrize("names", list(permutations(["int8-qat", "int8", "dynamic"])))
def test_modes_come_in_their_own_order_each_once(names: tuple[str, ...]) -> None:
    assert parse_modes([*names, *names]) == (Mode.FLOAT32, Mode.DYNAMIC, Mode.INT8, Mode.INT8_QAT)


def test_all_is_every_mode_once() -> None:
    every = (
        Mode.FLOAT32,
        Mode.FLOAT16,
        Mode.DYNAMIC,
        Mode.INT8,
        Mode.INT8_QAT,
        Mode.INT16X8,
    )
    assert parse_modes(["all"]) == every
    assert parse_modes(["int8", "all", "none"]) == every


@pytest.mark.parametrize(
    ("mode", "rounds_weights", "quantises_activations", "is_full_int8"),
    [
        (Mode.FLOAT32, False, False, False),
        (Mode.FLOAT16, True, False, False),
        (Mode.DYNAMIC, True, False, False),
        (Mode.INT8, True, True, True),
        (Mode.INT8_QAT, True, True, True),
        (Mode.INT16X8, True, True, False),
    ],
)
def test_a_mode_tells_what_it_rounds(
    mode: Mode, rounds_weights: bool, quantises_activations: bool, is_full_int8: bool
) -> None:
    assert mode.rounds_weights is rounds_weights
    assert mode.quantises_activations is quantises_activations
    assert mode.is_full_int8 is is_full_int8


def test_an_unknown_name_is_refused_with_every_name_there_is() -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        parse_modes(["int8_qat"])
    assert str(caught.value) == (
        "--quantize int8_qat is no mode; expected one of "
        "none, float32, float16, dynamic, int8, int8-qat, int16x8, all."
    )


def test_the_ends_are_named_as_tensorflow_names_its_types() -> None:
    assert [io.value for io in InputOutput] == ["int8", "uint8", "float32"]


def test_outputs_and_backends_are_named_as_the_command_names_them() -> None:
    assert [output.value for output in Output] == ["probability", "logit", "float32"]
    assert [backend.value for backend in Backend] == ["converter", "litert"]
