"""The exported files timed on a phone: pushed by adb, run by TFLite's own benchmark program."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.benchmarks.settings import TimingSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import last_line
from edge_melanoma.runs.converted import ConvertedModel

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
FIELDS = {
    "mean": "avg",
    "p50": "median",
    **{name: name for name in ("min", "max", "std", "p5", "p95")},
}
"""What the program calls the times of its runs."""
REMOTE = PurePosixPath("/data/local/tmp/edge-melanoma")
"""The one place of a phone where a program that was pushed may run."""
PROGRAM = REMOTE / "benchmark_model"
LIMIT_SECONDS = 1800
ELF = b"\x7fELF"
BINARY_HELP = (
    "expected the program benchmark_model of TensorFlow Lite for Android (the native binary, not "
    "the APK)"
)
PROPERTIES = {
    "model": "ro.product.model",
    "android": "ro.build.version.release",
    "abi": "ro.product.cpu.abi",
    "soc": "ro.soc.model",
}


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
    p5: float | None = None
    p50: float | None = None
    p95: float | None = None
    memory_mb: float | None = None
    xnnpack: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneReport:
    """A phone, and the times of each mode on each number of threads."""

    device: dict[str, str]
    times: tuple[tuple[str, PhoneTimes], ...]

    @property
    def name(self) -> str:
        """As its maker calls it."""
        return self.device["model"] or self.device["serial"]

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        models = [{"mode": mode, **asdict(times)} for mode, times in self.times]
        return {"device": self.device, "models": models}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """The one phone that adb is connected with, and the program to be run on it."""

    serial: str
    binary: Path

    def run(self, *words: str) -> str:
        """What an adb command printed.

        Raises:
            EdgeMelanomaError: it failed, or took more than half an hour.
        """
        return _adb("-s", self.serial, *words)


def open_phone(binary: Path | None) -> Phone:
    """The phone, once the program and adb are there too; all is checked before any long work.

    Raises:
        EdgeMelanomaError: no program, no adb, no phone, several, or one that does not answer.
    """
    if binary is None:
        raise EdgeMelanomaError(f"bench --adb needs --benchmark-binary FILE; {BINARY_HELP}.")
    if not binary.is_file():
        raise EdgeMelanomaError(f"There is no --benchmark-binary {binary}; {BINARY_HELP}.")
    with binary.open("rb") as stream:
        if stream.read(len(ELF)) != ELF:
            raise EdgeMelanomaError(
                f"--benchmark-binary {binary} is no Linux program; {BINARY_HELP}."
            )
    if shutil.which("adb") is None:
        raise EdgeMelanomaError(
            "bench --adb needs the program adb, which is not on PATH; install the Android SDK "
            "platform-tools."
        )
    return Phone(serial=_choose_device(), binary=binary)


def time_on_phone(
    phone: Phone,
    models: Sequence[ConvertedModel],
    *,
    settings: TimingSettings,
    say: Callable[[str], None],
) -> PhoneReport:
    """Push, run each model on each number of threads, parse, and leave nothing on the phone."""
    device = {name: phone.run("shell", "getprop", key).strip() for name, key in PROPERTIES.items()}
    device["serial"] = phone.serial
    times = []
    try:
        phone.run("shell", "mkdir", "-p", str(REMOTE))
        phone.run("push", str(phone.binary), str(PROGRAM))
        phone.run("shell", "chmod", "755", str(PROGRAM))
        for model in models:
            remote = REMOTE / model.path.name
            phone.run("push", str(model.path), str(remote))
            for threads in settings.threads:
                say(f"Timing {model.mode} on {device['model']}, {threads} thread(s)")
                text = phone.run("shell", *_command(remote, settings, threads), "2>&1")
                times.append((model.mode, parse_benchmark_output(text, threads=threads)))
    finally:
        # Of a phone that is gone, the first error tells.
        with suppress(EdgeMelanomaError):
            phone.run("shell", "rm", "-rf", str(REMOTE))
    return PhoneReport(device=device, times=tuple(times))


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
    times = {field: figures[name] for field, name in FIELDS.items() if name in figures}
    times |= {"init": float(summary[1]), "first": float(summary[2])}
    memory = MEMORY.search(text)
    return PhoneTimes(
        threads=threads,
        runs=int(runs[-1][1]),
        **{field: time / MICROSECONDS_A_MILLISECOND for field, time in times.items()},
        memory_mb=float(memory[2]) if memory else None,
        xnnpack=_uses_xnnpack(text),
    )


def _uses_xnnpack(text: str) -> bool | None:
    if REFUSED.search(text):
        return False
    return True if APPLIED.search(text) or CREATED in text else None


def _command(remote: PurePosixPath, settings: TimingSettings, threads: int) -> list[str]:
    least, most = settings.min_seconds, settings.max_seconds
    return [
        str(PROGRAM),
        f"--graph={remote}",
        f"--num_threads={threads}",
        f"--num_runs={settings.runs}",
        f"--warmup_runs={settings.warmup}",
        *([f"--min_secs={least:g}"] if least else []),
        *([f"--max_secs={most:g}"] if most != float("inf") else []),
    ]


def _choose_device() -> str:
    lines = _adb("devices").splitlines()
    states = dict(line.split()[:2] for line in lines if "\t" in line)
    wanted = os.environ.get("ANDROID_SERIAL")
    if wanted is None and len(states) > 1:
        raise EdgeMelanomaError(
            f"adb sees {len(states)} devices ({', '.join(states)}); choose one with the "
            f"environment variable ANDROID_SERIAL."
        )
    serial = wanted or next(iter(states), None)
    if serial is None or serial not in states:
        raise EdgeMelanomaError(
            f"adb sees no device{f' {wanted}' if wanted else ''}; connect a phone with USB "
            f"debugging allowed, or start an emulator, and look at: adb devices"
        )
    if states[serial] != "device":
        raise EdgeMelanomaError(
            f"The device {serial} is {states[serial]}; unlock it, allow this computer's USB "
            f"debugging, and look at: adb devices"
        )
    return serial


def _adb(*words: str) -> str:
    command = ["adb", *words]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=LIMIT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise EdgeMelanomaError(
            f"adb {words[0]} took more than {LIMIT_SECONDS} s; time fewer runs with --runs."
        ) from error
    if result.returncode != 0:
        reason = last_line(result.stderr + "\n" + result.stdout)
        reason = reason.rstrip(".") or f"it ended with {result.returncode}"
        raise EdgeMelanomaError(f"adb {' '.join(words[2:5])} failed: {reason}.")
    return result.stdout.replace("\r", "")


def _time(name: str) -> Callable[[tuple[str, PhoneTimes]], str]:
    """A cell of milliseconds, empty where the program tells none."""

    def cell(row: tuple[str, PhoneTimes]) -> str:
        milliseconds = getattr(row[1], name)
        return "" if milliseconds is None else f"{milliseconds:.2f}"

    return cell


KERNELS = {True: "XNNPACK", False: "built-in", None: "not told"}
COLUMNS: tuple[Column, ...] = (
    ("model", "{0[0]}"),
    ("threads", "{0[1].threads}"),
    ("kernels", lambda row: KERNELS[row[1].xnnpack]),
    *((f"{name} ms", _time(name)) for name in ("p50", "p5", "p95", "min", "mean", "max")),
    ("first ms", _time("first")),
    ("init ms", _time("init")),
    ("memory MB", lambda row: "" if row[1].memory_mb is None else f"{row[1].memory_mb:.1f}"),
    ("runs", "{0[1].runs}"),
)


def phone_section(report: PhoneReport) -> ReportSection:
    """A row for each file and number of threads."""
    device = report.device
    return section_of(
        f"On a phone: {report.name}, Android {device['android']}, {device['soc'] or device['abi']}",
        COLUMNS,
        report.times,
        note="By the official benchmark_model: random input, wall time, one file after another; "
        "a phone that gets warm gets slower.",
        key="phone",
        content=report.as_dict(),
    )
