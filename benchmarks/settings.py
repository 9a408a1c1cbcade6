"""What a person chooses for a bench; the command line has its defaults from here."""

from dataclasses import dataclass
from pathlib import Path

MLPERF_QUERIES, MLPERF_SECONDS = 1024, 60.0
"""The least that a single-stream run of MLPerf Inference asks for; its figure is the p90."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingSettings:
    """How long each model is timed, on each of the numbers of threads.

    At least `runs` invocations and `min_seconds` of them, unless `max_seconds` are over before.
    """

    runs: int = 100
    warmup: int = 10
    threads: tuple[int, ...] = (1,)
    min_seconds: float = 0.0
    max_seconds: float = 30.0

    @property
    def is_mlperf_like(self) -> bool:
        """Whether that is as much as MLPerf's single-stream scenario asks for."""
        return self.runs >= MLPERF_QUERIES and self.min_seconds >= MLPERF_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySettings:
    """What is looked into beyond the bench itself: kernels, mistakes, stability, a phone.

    `interpreter_python` is a Python with tflite-runtime, for the kernels, and `benchmark_binary`
    the program that runs on the phone.
    """

    kernels: bool = False
    kernel_images: int = 100
    interpreter_python: Path | None = None
    mistakes: bool = False
    stability: bool = False
    adb: bool = False
    benchmark_binary: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchCopies:
    """Where the user wants further copies; none where not."""

    json: Path | None = None
    html: Path | None = None
    junit: Path | None = None
