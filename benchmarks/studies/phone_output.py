"""What the official TFLite benchmark program says, read into numbers."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.child_process import last_line

MICROSECONDS_A_MILLISECOND = 1000.0
NUMBER = r"([-+.\deE]+)"
RUNS = re.compile(r"count=(\d+)\s+first=(?P<figures>.*)")
FIGURE = re.compile(rf"(\w+)={NUMBER}")
SUMMARY = re.compile(
    rf"Inference timings in us: Init: {NUMBER}, First inference: {NUMBER}, "
    rf"Warmup \(avg\): {NUMBER}, Inference \(avg\): {NUMBER}"
)
MEMORY = re.compile(rf"(?:Memory|memory) footprint.*\(MB\): init={NUMBER} overall={NUMBER}")
APPLIED = re.compile(r"model graph will be (?:partially|completely) executed by the delegate")
REFUSED = re.compile(r"model graph will not be executed by the delegate")
CREATED = "Created TensorFlow Lite XNNPACK delegate"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneTimes:
    """Milliseconds of one model on a phone; wall time, on random input.

    Programs before TensorFlow 2.17 tell no percentiles: these are none then. `xnnpack` is none
    where the output does not speak of it.
    """

    threads: int
    runs: int
    init: float
    first: float
    mean: float
    min: float
    max: float
    std: float
    p5: float | None
    p50: float | None
    p95: float | None
    memory_mb: float | None
    xnnpack: bool | None

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        return asdict(self)


def parse_benchmark_output(text: str, *, threads: int) -> PhoneTimes:
    """The timed runs and the summary, with or without a log's `INFO: ` before each line.

    Raises:
        EdgeMelanomaError: the program did not come to its end.
    """
    runs = [match for match in map(RUNS.search, text.splitlines()) if match]
    summary = SUMMARY.search(text)
    # With a warm-up of several runs, the timed ones are the second line of this form.
    if not runs or summary is None:
        told = last_line(text).rstrip(".")
        last = f": {told}" if told else ", and said nothing"
        raise EdgeMelanomaError(
            f"The benchmark program ended without times{last}; expected the official TFLite "
            f"benchmark_model, built for the phone's processor."
        )
    figures = {name: float(value) for name, value in FIGURE.findall("first=" + runs[-1]["figures"])}
    memory = MEMORY.search(text)
    return PhoneTimes(
        threads=threads,
        runs=int(runs[-1][1]),
        init=float(summary[1]) / MICROSECONDS_A_MILLISECOND,
        first=float(summary[2]) / MICROSECONDS_A_MILLISECOND,
        mean=figures["avg"] / MICROSECONDS_A_MILLISECOND,
        min=figures["min"] / MICROSECONDS_A_MILLISECOND,
        max=figures["max"] / MICROSECONDS_A_MILLISECOND,
        std=figures["std"] / MICROSECONDS_A_MILLISECOND,
        p5=_milliseconds(figures.get("p5")),
        p50=_milliseconds(figures.get("median")),
        p95=_milliseconds(figures.get("p95")),
        memory_mb=float(memory[2]) if memory else None,
        xnnpack=_uses_xnnpack(text),
    )


def _milliseconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / MICROSECONDS_A_MILLISECOND


def _uses_xnnpack(text: str) -> bool | None:
    if REFUSED.search(text):
        return False
    if APPLIED.search(text) or CREATED in text:
        return True
    return None
