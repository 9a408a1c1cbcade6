"""Which choices of an export go together, and what its manifest says of them."""

from typing import Any

import pytest

from edge_melanoma.converters import settings
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError
from edge_melanoma.tflite.modes import Backend, Correction, InputOutput, Mode, Output

INT8 = (Mode.FLOAT32, Mode.INT8)
FLOAT16 = (Mode.FLOAT32, Mode.FLOAT16)


def test_the_defaults_go_with_every_mode() -> None:
    ExportSettings().refuse_contradictions(tuple(Mode))


@pytest.mark.parametrize(
    ("choices", "modes", "sentence"),
    [
        (
            {"io": InputOutput.UINT8},
            FLOAT16,
            "--io uint8 is for the int8 model, which is not among those asked for; "
            "add --quantize int8.",
        ),
        (
            {"output": Output.LOGIT},
            FLOAT16,
            "--output logit is for the int8 model, which is not among those asked for; "
            "add --quantize int8.",
        ),
        (
            {"output": Output.LOGIT, "io": InputOutput.FLOAT32},
            INT8,
            "--output logit needs an integer input; use --io int8 or --io uint8.",
        ),
        (
            {"output": Output.FLOAT32, "backend": Backend.LITERT},
            INT8,
            "--output float32 is made by --backend converter only; choose that, or --output logit.",
        ),
        (
            {"max_recall_drop": 0.01},
            FLOAT16,
            "--max-recall-drop is for the int8 model with --output probability; "
            "add --quantize int8 and leave --output out.",
        ),
        (
            {"max_recall_drop": 1.5},
            INT8,
            "--max-recall-drop is 1.5; expected a share from 0 up to 1, such as 0.005.",
        ),
    ],
)
def test_choices_that_exclude_each_other_are_refused(
    choices: dict[str, Any], modes: tuple[Mode, ...], sentence: str
) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        ExportSettings(**choices).refuse_contradictions(modes)
    assert str(caught.value) == sentence


def test_whose_rounding_is_corrected_goes_by_mode() -> None:
    assert {mode.value: ExportSettings().correction_of(mode) for mode in Mode} == {
        "float32": "none",
        "float16": "weights",
        "dynamic": "weights",
        "int8": "weights and activations",
        "int8-qat": "weights and activations",
        "int16x8": "weights",
    }


def test_trained_int8_is_corrected_and_the_converter_s_whatever_is_asked_for() -> None:
    settings = ExportSettings(correction=Correction.NONE, backend=Backend.LITERT)
    corrected = {mode.value: settings.correction_of(mode) for mode in Mode}
    assert {name for name, what in corrected.items() if what != "none"} == {"int8-qat"}
    assert {mode for mode in Mode if settings.backend_of(mode) is Backend.CONVERTER} == {
        Mode.FLOAT32,
        Mode.INT8_QAT,
    }


def test_what_has_no_effect_on_a_file_is_not_in_its_manifest() -> None:
    plain = ExportSettings()
    other = ExportSettings(io=InputOutput.UINT8, output=Output.LOGIT, max_recall_drop=0.1)
    assert plain.of_mode(Mode.FLOAT16) == other.of_mode(Mode.FLOAT16)
    assert plain.of_mode(Mode.INT8) != other.of_mode(Mode.INT8)


@pytest.mark.parametrize(
    ("choices", "modes", "package"),
    [
        ({"backend": Backend.LITERT}, (Mode.INT8,), "litert-quantizer"),
        ({}, (Mode.INT8, Mode.INT8_QAT), "tensorflow-model-optimization"),
    ],
)
def test_a_quantiser_that_is_not_installed_is_told_before_any_work(
    choices: dict[str, Any],
    modes: tuple[Mode, ...],
    package: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=f"needs the package {package}"):
        ExportSettings(**choices).refuse_contradictions(modes)
    ExportSettings().refuse_contradictions((Mode.INT8,))
