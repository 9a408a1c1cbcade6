"""The studies of `bench`: found before the long work, and put into the report's sections."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.benchmarks.parity.scoring import Scoring
from edge_melanoma.benchmarks.sections import ReportSection
from edge_melanoma.benchmarks.settings import StudySettings, TimingSettings
from edge_melanoma.benchmarks.studies import studies
from edge_melanoma.benchmarks.studies.phone import Phone, PhoneReport, PhoneTimes
from edge_melanoma.benchmarks.studies.studies import Studies, prepare_studies
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runtime.names import Kernels, Runtime

TIMES = PhoneTimes(
    threads=1,
    runs=50,
    init=6.0,
    first=9.0,
    mean=9.0,
    min=8.0,
    max=10.0,
    std=0.1,
    p5=8.5,
    p50=9.0,
    p95=9.5,
    memory_mb=15.0,
    xnnpack=True,
)
DEVICE = {"model": "Pixel 8", "android": "15", "abi": "arm64-v8a", "soc": "", "serial": "R5CT"}


def section_of(title: str) -> ReportSection:
    return ReportSection(title=title, columns=("model",), rows=(("",),), note="")


def scoring_of_nothing() -> Scoring:
    nothing: Any = None
    return Scoring(
        run=nothing,
        exports=(),
        runtime=Runtime.LITERT,
        records=(),
        is_test_side=True,
        reporter=SilentReporter(),
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            StudySettings(interpreter_python=Path("python")),
            "--interpreter-python is for --kernels; give both.",
        ),
        (
            StudySettings(benchmark_binary=Path("program")),
            "--benchmark-binary is for --adb; give both.",
        ),
    ],
)
def test_an_option_of_a_study_that_is_not_asked_for_is_refused(
    settings: StudySettings, message: str
) -> None:
    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(message)}$"):
        prepare_studies(settings)


def test_a_missing_program_is_told_before_the_long_work() -> None:
    with pytest.raises(EdgeMelanomaError, match=r"^bench --adb needs --benchmark-binary FILE; "):
        prepare_studies(StudySettings(adb=True))


def test_without_studies_nothing_is_looked_for_and_the_sections_stay() -> None:
    prepared = prepare_studies(StudySettings())
    assert (prepared.phone, prepared.kernel_paths) == (None, ())
    sections = (section_of("Invocations"),)
    assert (
        prepared.run(scoring_of_nothing(), timing=TimingSettings(), sections=sections) == sections
    )


def test_the_default_kernels_are_held_against(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edge_melanoma.benchmarks.studies.kernels._probe", lambda *asked: "not here"
    )
    paths = prepare_studies(StudySettings(kernels=True)).kernel_paths
    assert (paths[0].kernels, paths[0].threads, paths[0].reason) == (Kernels.DEFAULT, 1, "")


def test_a_phones_times_stand_below_this_machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = PhoneReport(device=DEVICE, times=(("int8", TIMES),))
    monkeypatch.setattr(studies, "time_on_phone", lambda *given, **named: report)
    prepared = Studies(
        settings=StudySettings(adb=True, benchmark_binary=tmp_path),
        kernel_paths=(),
        phone=Phone(serial="R5CT", binary=tmp_path),
    )
    other = section_of("Invocations")
    kept, phone = prepared.run(scoring_of_nothing(), timing=TimingSettings(), sections=(other,))
    assert kept is other
    assert phone.key == "phone"
    assert phone.content == {"device": DEVICE, "models": [{"mode": "int8", **asdict(TIMES)}]}
